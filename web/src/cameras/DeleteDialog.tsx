/** Asks before a camera is removed, and says what stays. */
import { Alert, Button, Group, Modal, Stack, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useTranslation } from "react-i18next";

import { useChangeCamera } from "../api/queries";
import type { Camera } from "../api/types";
import { useFormat } from "../i18n/format";
import { retentionMs } from "./cameraForm";

export function DeleteDialog({ camera, onClose }: { camera: Camera; onClose: () => void }) {
  const { t } = useTranslation("cameras");
  const format = useFormat();
  const change = useChangeCamera();
  const remove = () =>
    change.mutate(
      { kind: "delete", id: camera.id },
      {
        onSuccess: () => {
          notifications.show({ message: t("delete.done", { name: camera.name }) });
          onClose();
        },
      },
    );
  return (
    <Modal
      opened
      onClose={onClose}
      title={t("delete.title", { name: camera.name })}
      closeButtonProps={{ "aria-label": t("form.cancel") }}
    >
      <Stack>
        {change.error && <Alert color="red">{t("form.refused", { detail: change.error.message })}</Alert>}
        <Text>{t("delete.text", { retention: format.duration(retentionMs(camera.retention)) })}</Text>
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose} data-autofocus>
            {t("form.cancel")}
          </Button>
          <Button color="red" onClick={remove} loading={change.isPending}>
            {t("delete.confirm")}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
