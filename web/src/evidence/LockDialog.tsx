/** Lock a range of footage as evidence: why, and who says so. */
import { Alert, Button, Group, Modal, Stack, Text, Textarea, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { IconLock } from "@tabler/icons-react";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";

import { useCreateLock } from "../api/evidenceQueries";
import type { EvidenceLock } from "../api/evidenceTypes";
import type { Span } from "../api/recordings";
import type { Camera } from "../api/types";
import { useFormat } from "../i18n/format";
import { rememberedPerson, rememberPerson } from "./person";

interface Props {
  camera: Pick<Camera, "id" | "name">;
  range: Span;
  onClose: () => void;
}

export function LockDialog({ camera, range, onClose }: Props) {
  const { t } = useTranslation("evidence");
  const format = useFormat();
  const create = useCreateLock();
  const [reason, setReason] = useState("");
  const [person, setPerson] = useState(rememberedPerson);
  const complete = reason.trim() !== "" && person.trim() !== "";
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!complete) return;
    rememberPerson(person);
    create.mutate(
      {
        camera_id: camera.id,
        start: new Date(range.startMs).toISOString(),
        end: new Date(range.endMs).toISOString(),
        reason: reason.trim(),
        created_by: person.trim(),
      },
      {
        onSuccess: (lock) => {
          notifications.show({ message: t("lock.done", { name: camera.name }) });
          if (waiting(lock).length === 0) onClose();
        },
      },
    );
  };
  return (
    <Modal opened onClose={onClose} title={t("lock.title", { name: camera.name })} closeButtonProps={{ "aria-label": t("cancel") }}>
      {create.data ? (
        <Stack>
          <Alert color="yellow">{t("lock.notYet", { volumes: waiting(create.data).join(", ") })}</Alert>
          <Group justify="flex-end">
            <Button onClick={onClose}>{t("close")}</Button>
          </Group>
        </Stack>
      ) : (
        <form onSubmit={submit}>
          <Stack>
            <Text size="sm">
              {t("lock.text", { start: format.dateTime(range.startMs), end: format.dateTime(range.endMs) })}
            </Text>
            {create.error && <Alert color="red">{t("refused", { detail: create.error.message })}</Alert>}
            <Textarea
              label={t("lock.reason")}
              placeholder={t("lock.reasonExample")}
              required
              autosize
              minRows={2}
              maxLength={1000}
              data-autofocus
              value={reason}
              onChange={(event) => setReason(event.currentTarget.value)}
            />
            <TextInput
              label={t("who")}
              required
              maxLength={200}
              value={person}
              onChange={(event) => setPerson(event.currentTarget.value)}
            />
            <Group justify="flex-end">
              <Button variant="default" onClick={onClose}>
                {t("cancel")}
              </Button>
              <Button type="submit" loading={create.isPending} disabled={!complete} leftSection={<IconLock size={16} />}>
                {t("lock.submit")}
              </Button>
            </Group>
          </Stack>
        </form>
      )}
    </Modal>
  );
}

/** Volumes that do not obey the lock yet. */
function waiting(lock: EvidenceLock): string[] {
  return lock.volumes.filter(({ holds }) => !holds).map(({ volume }) => volume);
}
