/** All bookmarks: found by their words, opened, changed, removed. */
import { ActionIcon, Button, Group, Loader, Modal, Stack, Table, Text, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { IconBookmark, IconPencil, IconSearch, IconTrash } from "@tabler/icons-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { useBookmarks, useChangeBookmark } from "../api/evidenceQueries";
import type { Bookmark } from "../api/evidenceTypes";
import type { Camera } from "../api/types";
import { EmptyState } from "../app/EmptyState";
import { Footage } from "../evidence/Footage";
import { ListNote } from "../evidence/ListNote";
import { CameraFilter } from "../evidence/LocksPanel";
import { BookmarkDialog } from "./BookmarkDialog";

const TYPED_MS = 300;

export function BookmarksPanel({ cameras }: { cameras: readonly Camera[] }) {
  const { t } = useTranslation("bookmarks");
  const [cameraId, setCameraId] = useState<string | null>(null);
  const [text, setText] = useState("");
  const [wanted] = useDebouncedValue(text, TYPED_MS);
  const [editing, setEditing] = useState<Bookmark | null>(null);
  const [deleting, setDeleting] = useState<Bookmark | null>(null);
  const { items, more, error } = useBookmarks({ text: wanted, ...(cameraId === null ? {} : { cameraId }) });
  return (
    <Stack>
      <Group align="flex-end">
        <TextInput
          label={t("search")}
          leftSection={<IconSearch size={16} aria-hidden />}
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
          miw={260}
        />
        <CameraFilter cameras={cameras} value={cameraId} onChange={setCameraId} />
      </Group>
      <ListNote error={error} more={more} />
      {items === null && !error && <Loader aria-label={t("loading")} />}
      {items?.length === 0 && (
        <EmptyState icon={IconBookmark} title={t(wanted === "" ? "empty.title" : "empty.nothing")} text={t("empty.text")} />
      )}
      {items && items.length > 0 && (
        <Table.ScrollContainer minWidth={560}>
          <Table verticalSpacing="sm">
            <Table.Thead>
              <Table.Tr>
                <Table.Th scope="col">{t("column.footage")}</Table.Th>
                <Table.Th scope="col">{t("column.title")}</Table.Th>
                <Table.Th scope="col" />
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {items.map((bookmark) => (
                <Row key={bookmark.id} bookmark={bookmark} cameras={cameras} onEdit={setEditing} onDelete={setDeleting} />
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
      {editing && <BookmarkDialog subject={{ bookmark: editing }} onClose={() => setEditing(null)} />}
      {deleting && <DeleteBookmark bookmark={deleting} onClose={() => setDeleting(null)} />}
    </Stack>
  );
}

interface RowProps {
  bookmark: Bookmark;
  cameras: readonly Camera[];
  onEdit: (bookmark: Bookmark) => void;
  onDelete: (bookmark: Bookmark) => void;
}

function Row({ bookmark, cameras, onEdit, onDelete }: RowProps) {
  const { t } = useTranslation("bookmarks");
  const { title, note, created_by: person } = bookmark;
  return (
    <Table.Tr data-testid={`bookmark-${bookmark.id}`}>
      <Table.Td>
        <Footage cameraId={bookmark.camera_id} cameras={cameras} startMs={Date.parse(bookmark.start)} endMs={Date.parse(bookmark.end)} />
      </Table.Td>
      <Table.Td>
        <Text size="sm" fw={600} style={{ overflowWrap: "anywhere" }}>
          {title}
        </Text>
        <Text size="xs" c="dimmed" style={{ whiteSpace: "pre-line", overflowWrap: "anywhere" }}>
          {[note, person].filter((part) => part !== "").join("\n")}
        </Text>
      </Table.Td>
      <Table.Td>
        <Group gap={2} wrap="nowrap" justify="flex-end">
          <ActionIcon variant="subtle" color="gray" aria-label={t("edit.label", { title })} onClick={() => onEdit(bookmark)}>
            <IconPencil size={18} />
          </ActionIcon>
          <ActionIcon variant="subtle" color="red" aria-label={t("delete.label", { title })} onClick={() => onDelete(bookmark)}>
            <IconTrash size={18} />
          </ActionIcon>
        </Group>
      </Table.Td>
    </Table.Tr>
  );
}

function DeleteBookmark({ bookmark, onClose }: { bookmark: Bookmark; onClose: () => void }) {
  const { t } = useTranslation("bookmarks");
  const change = useChangeBookmark();
  return (
    <Modal opened onClose={onClose} title={t("delete.title", { title: bookmark.title })} closeButtonProps={{ "aria-label": t("cancel") }}>
      <Stack>
        <Text size="sm">{t("delete.text")}</Text>
        {change.error && <Text c="red">{t("refused", { detail: change.error.message })}</Text>}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose} data-autofocus>
            {t("cancel")}
          </Button>
          <Button color="red" loading={change.isPending} onClick={() => change.mutate({ kind: "delete", id: bookmark.id }, { onSuccess: onClose })}>
            {t("delete.confirm")}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
