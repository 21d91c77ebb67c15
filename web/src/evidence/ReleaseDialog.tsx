/** Let locked footage go: who, and why. */
import { Alert, Button, Group, Modal, Stack, Text, Textarea, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";

import { useReleaseLock } from "../api/evidenceQueries";
import type { EvidenceLock } from "../api/evidenceTypes";
import { rememberedPerson, rememberPerson } from "./person";

export function ReleaseDialog({ lock, onClose }: { lock: EvidenceLock; onClose: () => void }) {
  const { t } = useTranslation("evidence");
  const release = useReleaseLock();
  const [reason, setReason] = useState("");
  const [person, setPerson] = useState(rememberedPerson);
  const complete = reason.trim() !== "" && person.trim() !== "";
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!complete) return;
    rememberPerson(person);
    release.mutate(
      { id: lock.id, release: { released_by: person.trim(), reason: reason.trim() } },
      {
        onSuccess: () => {
          notifications.show({ message: t("release.done") });
          onClose();
        },
      },
    );
  };
  return (
    <Modal opened onClose={onClose} title={t("release.title")} closeButtonProps={{ "aria-label": t("cancel") }}>
      <form onSubmit={submit}>
        <Stack>
          <Text size="sm">{t("release.text", { reason: lock.reason, who: lock.created_by })}</Text>
          {release.error && <Alert color="red">{t("refused", { detail: release.error.message })}</Alert>}
          <Textarea
            label={t("release.reason")}
            required
            autosize
            minRows={2}
            maxLength={1000}
            data-autofocus
            value={reason}
            onChange={(event) => setReason(event.currentTarget.value)}
          />
          <TextInput label={t("who")} required maxLength={200} value={person} onChange={(event) => setPerson(event.currentTarget.value)} />
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              {t("cancel")}
            </Button>
            <Button type="submit" color="red" loading={release.isPending} disabled={!complete}>
              {t("release.submit")}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
