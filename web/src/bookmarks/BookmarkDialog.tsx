/** Make a bookmark, or change one. */
import { Alert, Button, Group, Modal, Stack, Text, Textarea, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";

import { type BookmarkChange, useChangeBookmark } from "../api/evidenceQueries";
import type { Bookmark } from "../api/evidenceTypes";
import type { Span } from "../api/recordings";
import { rememberedPerson, rememberPerson } from "../evidence/person";
import { useFormat } from "../i18n/format";

/** A new one of a camera, where both ends are the same for a moment; or one that there is. */
export type BookmarkSubject = { cameraId: string; span: Span } | { bookmark: Bookmark };

export function BookmarkDialog({ subject, onClose }: { subject: BookmarkSubject; onClose: () => void }) {
  const { t } = useTranslation("bookmarks");
  const format = useFormat();
  const change = useChangeBookmark();
  const old = "bookmark" in subject ? subject.bookmark : null;
  const [title, setTitle] = useState(old?.title ?? "");
  const [note, setNote] = useState(old?.note ?? "");
  const [person, setPerson] = useState(rememberedPerson);
  const span = "span" in subject ? subject.span : { startMs: Date.parse(subject.bookmark.start), endMs: Date.parse(subject.bookmark.end) };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (title.trim() === "") return;
    if (old === null) rememberPerson(person);
    change.mutate(sent(subject, title.trim(), note.trim(), person.trim()), {
      onSuccess: () => {
        notifications.show({ message: t("saved", { title: title.trim() }) });
        onClose();
      },
    });
  };
  return (
    <Modal opened onClose={onClose} title={t(old ? "edit.title" : "new.title")} closeButtonProps={{ "aria-label": t("cancel") }}>
      <form onSubmit={submit} data-testid="bookmark-form">
        <Stack>
          <Text size="sm" c="dimmed">
            {format.dateTime(span.startMs)}
            {span.endMs > span.startMs && ` – ${format.dateTime(span.endMs)} (${format.duration(span.endMs - span.startMs)})`}
          </Text>
          {change.error && <Alert color="red">{t("refused", { detail: change.error.message })}</Alert>}
          <TextInput
            label={t("field.title")}
            required
            maxLength={200}
            data-autofocus
            value={title}
            onChange={(event) => setTitle(event.currentTarget.value)}
          />
          <Textarea label={t("field.note")} autosize minRows={2} maxLength={4000} value={note} onChange={(event) => setNote(event.currentTarget.value)} />
          {old === null && (
            <TextInput label={t("field.who")} maxLength={200} value={person} onChange={(event) => setPerson(event.currentTarget.value)} />
          )}
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              {t("cancel")}
            </Button>
            <Button type="submit" loading={change.isPending} disabled={title.trim() === ""}>
              {t("save")}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

function sent(subject: BookmarkSubject, title: string, note: string, person: string): BookmarkChange {
  if ("bookmark" in subject) return { kind: "change", id: subject.bookmark.id, patch: { title, note } };
  const { cameraId, span } = subject;
  return {
    kind: "create",
    bookmark: {
      camera_id: cameraId,
      start: new Date(span.startMs).toISOString(),
      end: new Date(span.endMs).toISOString(),
      title,
      note,
      created_by: person,
    },
  };
}
