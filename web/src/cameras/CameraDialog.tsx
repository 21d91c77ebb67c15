/** Add a camera, or change one. */
import {
  Alert,
  Button,
  Group,
  Modal,
  NumberInput,
  SegmentedControl,
  Select,
  Stack,
  TextInput,
} from "@mantine/core";
import { useForm } from "@mantine/form";
import { notifications } from "@mantine/notifications";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { ApiError } from "../api/client";
import { useChangeCamera } from "../api/queries";
import type { Camera } from "../api/types";
import {
  type CameraForm,
  check,
  formOf,
  NEW_CAMERA,
  newCamera,
  patchOf,
  RETENTION_UNITS,
  type RetentionUnit,
  serverErrors,
  slug,
} from "./cameraForm";
import { KeepingFields, RecordingFields } from "./RecordingFields";

interface Props {
  /** The camera to change; null to add one. */
  camera: Camera | null;
  onClose: () => void;
}

export function CameraDialog({ camera, onClose }: Props) {
  const { t } = useTranslation("cameras");
  return (
    <Modal
      opened
      onClose={onClose}
      size="lg"
      title={camera ? t("form.edit", { name: camera.name }) : t("form.add")}
      closeButtonProps={{ "aria-label": t("form.cancel") }}
    >
      <Form camera={camera} onClose={onClose} />
    </Modal>
  );
}

function Form({ camera, onClose }: Props) {
  const { t } = useTranslation("cameras");
  const change = useChangeCamera();
  const [before] = useState<CameraForm>(() => (camera ? formOf(camera) : NEW_CAMERA));
  const [idTouched, setIdTouched] = useState(camera !== null);
  const form = useForm<CameraForm>({
    initialValues: before,
    validate: (values) =>
      Object.fromEntries(Object.entries(check(values)).map(([field, key]) => [field, t(`form.error.${key}`)])),
  });

  const onError = (error: Error) => {
    if (!(error instanceof ApiError)) return;
    form.setErrors(serverErrors(error.fieldErrors()));
  };
  const submit = form.onSubmit((values) => {
    change.mutate(
      camera
        ? { kind: "update", id: camera.id, patch: patchOf(before, values) }
        : { kind: "create", camera: newCamera(values) },
      {
        onError,
        onSuccess: () => {
          notifications.show({ message: t(camera ? "form.saved" : "form.added", { name: values.name }) });
          onClose();
        },
      },
    );
  });

  return (
    <form onSubmit={submit} noValidate>
      <Stack>
        {change.error && Object.keys(form.errors).length === 0 && <Alert color="red">{t("form.refused", { detail: change.error.message })}</Alert>}
        <TextInput
          {...form.getInputProps("name")}
          label={t("form.name")}
          placeholder={t("form.namePlaceholder")}
          required
          data-autofocus
          onChange={(event) => {
            const name = event.currentTarget.value;
            form.setFieldValue("name", name);
            if (!idTouched) form.setFieldValue("id", slug(name));
          }}
        />
        <TextInput
          {...form.getInputProps("id")}
          label={t("form.id")}
          description={t("form.idHelp")}
          required
          disabled={camera !== null}
          onChange={(event) => {
            setIdTouched(true);
            form.setFieldValue("id", event.currentTarget.value);
          }}
        />
        <TextInput
          {...form.getInputProps("source")}
          label={t("form.source")}
          description={t(camera ? "form.sourceKeep" : "form.sourceHelp")}
          placeholder="rtsp://user:password@192.0.2.10/stream1"
          required
          autoComplete="off"
          spellCheck={false}
        />
        <TextInput
          {...form.getInputProps("subSource")}
          label={t("form.subSource")}
          description={t("form.subSourceHelp")}
          placeholder="rtsp://user:password@192.0.2.10/stream2"
          autoComplete="off"
          spellCheck={false}
        />
        <Group grow align="flex-start">
          <Select
            {...form.getInputProps("transport")}
            label={t("form.transport")}
            description={t("form.transportHelp")}
            allowDeselect={false}
            data={[
              { value: "tcp", label: "TCP" },
              { value: "udp", label: "UDP" },
            ]}
          />
          <NumberInput
            {...form.getInputProps("retention")}
            label={t("form.retention")}
            description={t("form.retentionHelp")}
            min={1}
            rightSectionWidth={120}
            rightSection={
              <SegmentedControl
                size="xs"
                aria-label={t("form.retentionUnit")}
                value={form.values.retentionUnit}
                onChange={(unit: RetentionUnit) => form.setFieldValue("retentionUnit", unit)}
                data={RETENTION_UNITS.map((unit) => ({ value: unit, label: t(`form.unit.${unit}`) }))}
              />
            }
          />
        </Group>
        <RecordingFields form={form} />
        <KeepingFields form={form} />
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            {t("form.cancel")}
          </Button>
          <Button type="submit" loading={change.isPending}>
            {t(camera ? "form.save" : "form.submit")}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
