/** What the keys do, by page. */
import { Kbd, Modal, SimpleGrid, Stack, Table, Title } from "@mantine/core";
import { useTranslation } from "react-i18next";

/** Keys as they are printed; their meaning is `shortcuts.<section>.<name>` in the catalog. */
const SHORTCUTS = {
  wall: {
    move: ["←", "→", "↑", "↓"],
    open: ["Enter"],
    fullscreen: ["F"],
    sound: ["M"],
    layout: ["0", "1", "4", "9"],
    page: ["PgUp", "PgDn"],
  },
  player: {
    play: ["Space", "K"],
    jump: ["←", "→"],
    frame: [",", "."],
    reverse: ["R"],
    speed: ["[", "]", "\\"],
    goTo: ["T"],
    live: ["L"],
    gap: ["G"],
    event: ["E"],
    marks: ["I", "O"],
    bookmark: ["B"],
    sound: ["M"],
    fullscreen: ["F"],
  },
  sync: {
    choose: ["C"],
    move: ["←", "→", "↑", "↓"],
    sound: ["M"],
  },
  timeline: {
    cursor: ["←", "→"],
    pan: ["Shift", "←", "→"],
    page: ["PgUp", "PgDn"],
    zoom: ["+", "−"],
    play: ["Enter"],
    now: ["End"],
  },
} as const;

export function ShortcutHelp({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const { t } = useTranslation();
  const row = (keys: readonly string[], text: string) => (
    <Table.Tr key={text}>
      <Table.Td style={{ whiteSpace: "nowrap" }}>
        {keys.map((key) => (
          <Kbd key={key} mr={4}>
            {key}
          </Kbd>
        ))}
      </Table.Td>
      <Table.Td>{text}</Table.Td>
    </Table.Tr>
  );
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      size="xl"
      title={t("shortcuts.title")}
      closeButtonProps={{ "aria-label": t("close") }}
    >
      <SimpleGrid cols={{ base: 1, sm: 2 }}>
        <Stack gap="xs">
          <Title order={3} size="h5">
            {t("shortcuts.wall.title")}
          </Title>
          <Table>
            <Table.Tbody>
              {row(SHORTCUTS.wall.move, t("shortcuts.wall.move"))}
              {row(SHORTCUTS.wall.open, t("shortcuts.wall.open"))}
              {row(SHORTCUTS.wall.fullscreen, t("shortcuts.wall.fullscreen"))}
              {row(SHORTCUTS.wall.sound, t("shortcuts.wall.sound"))}
              {row(SHORTCUTS.wall.layout, t("shortcuts.wall.layout"))}
              {row(SHORTCUTS.wall.page, t("shortcuts.wall.page"))}
            </Table.Tbody>
          </Table>
          <Title order={3} size="h5">
            {t("shortcuts.timeline.title")}
          </Title>
          <Table>
            <Table.Tbody>
              {row(SHORTCUTS.timeline.cursor, t("shortcuts.timeline.cursor"))}
              {row(SHORTCUTS.timeline.play, t("shortcuts.timeline.play"))}
              {row(SHORTCUTS.timeline.pan, t("shortcuts.timeline.pan"))}
              {row(SHORTCUTS.timeline.page, t("shortcuts.timeline.page"))}
              {row(SHORTCUTS.timeline.zoom, t("shortcuts.timeline.zoom"))}
              {row(SHORTCUTS.timeline.now, t("shortcuts.timeline.now"))}
            </Table.Tbody>
          </Table>
        </Stack>
        <Stack gap="xs">
          <Title order={3} size="h5">
            {t("shortcuts.player.title")}
          </Title>
          <Table>
            <Table.Tbody>
              {row(SHORTCUTS.player.play, t("shortcuts.player.play"))}
              {row(SHORTCUTS.player.jump, t("shortcuts.player.jump"))}
              {row(SHORTCUTS.player.frame, t("shortcuts.player.frame"))}
              {row(SHORTCUTS.player.reverse, t("shortcuts.player.reverse"))}
              {row(SHORTCUTS.player.speed, t("shortcuts.player.speed"))}
              {row(SHORTCUTS.player.goTo, t("shortcuts.player.goTo"))}
              {row(SHORTCUTS.player.live, t("shortcuts.player.live"))}
              {row(SHORTCUTS.player.gap, t("shortcuts.player.gap"))}
              {row(SHORTCUTS.player.event, t("shortcuts.player.event"))}
              {row(SHORTCUTS.player.marks, t("shortcuts.player.marks"))}
              {row(SHORTCUTS.player.bookmark, t("shortcuts.player.bookmark"))}
              {row(SHORTCUTS.player.sound, t("shortcuts.player.sound"))}
              {row(SHORTCUTS.player.fullscreen, t("shortcuts.player.fullscreen"))}
            </Table.Tbody>
          </Table>
          <Title order={3} size="h5">
            {t("shortcuts.sync.title")}
          </Title>
          <Table>
            <Table.Tbody>
              {row(SHORTCUTS.sync.choose, t("shortcuts.sync.choose"))}
              {row(SHORTCUTS.sync.move, t("shortcuts.sync.move"))}
              {row(SHORTCUTS.sync.sound, t("shortcuts.sync.sound"))}
            </Table.Tbody>
          </Table>
        </Stack>
      </SimpleGrid>
    </Modal>
  );
}
