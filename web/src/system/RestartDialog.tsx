/** Asks before a process is restarted, and says what that means for whoever watches. */
import { Alert, Button, Group, Modal, Stack, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useTranslation } from "react-i18next";

import { ApiError } from "../api/client";
import { useRestartProcess } from "../api/queries";
import type { Process, ProcessRole } from "../api/types";

type Restartable = Exclude<ProcessRole, "supervisor">;

export function RestartDialog({ process: { role, worker }, onClose }: { process: Process; onClose: () => void }) {
  const { t } = useTranslation("system");
  const restart = useRestartProcess();
  const confirm = () =>
    restart.mutate(worker, {
      onSuccess: ({ workers }) => {
        notifications.show({ message: t("restart.done", { workers: workers.join(", ") }) });
        onClose();
      },
    });
  const { error } = restart;
  return (
    <Modal
      opened
      onClose={onClose}
      title={t("restart.title", { worker })}
      closeButtonProps={{ "aria-label": t("restart.cancel") }}
    >
      <Stack>
        {error && (
          <Alert color="red">
            {error instanceof ApiError ? t("restart.refused", { detail: error.message }) : t("restart.unanswered")}
          </Alert>
        )}
        <Text>{t(`restart.means.${role as Restartable}`, { defaultValue: "" })}</Text>
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose} data-autofocus>
            {t("restart.cancel")}
          </Button>
          <Button color="red" onClick={confirm} loading={restart.isPending} data-testid="restart-confirm">
            {t("restart.confirm")}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
