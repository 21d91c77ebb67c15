/** Which cameras play together. */
import { Button, Checkbox, Popover, Stack, Text, TextInput } from "@mantine/core";
import { IconVideo } from "@tabler/icons-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import type { Camera } from "../api/types";
import { useShortcuts } from "../app/shortcuts";
import { MOST_CAMERAS } from "./chosen";
import classes from "./sync.module.css";

interface Props {
  cameras: readonly Camera[];
  chosen: readonly string[];
  onChoose: (cameraIds: string[]) => void;
  opened: boolean;
  onOpen: (opened: boolean) => void;
}

export function CameraPicker({ cameras, chosen, onChoose, opened, onOpen }: Props) {
  const { t } = useTranslation("playback");
  const [search, setSearch] = useState("");
  useShortcuts({ c: () => onOpen(true) });
  const full = chosen.length >= MOST_CAMERAS;
  const wanted = search.trim().toLocaleLowerCase();
  const found = cameras.filter(({ id, name }) => `${name} ${id}`.toLocaleLowerCase().includes(wanted));
  const toggle = (id: string) => onChoose(chosen.includes(id) ? chosen.filter((each) => each !== id) : [...chosen, id]);
  return (
    <Popover opened={opened} onChange={onOpen} trapFocus withinPortal width={320} shadow="md" position="top-end">
      <Popover.Target>
        <Button
          size="compact-sm"
          variant="default"
          leftSection={<IconVideo size={16} />}
          data-testid="choose-cameras"
          onClick={() => onOpen(!opened)}
        >
          {t("sync.choose")}
        </Button>
      </Popover.Target>
      <Popover.Dropdown>
        <Stack gap="xs">
          <TextInput
            size="xs"
            data-autofocus
            placeholder={t("sync.search")}
            aria-label={t("sync.search")}
            value={search}
            onChange={(event) => setSearch(event.currentTarget.value)}
          />
          <Stack gap={6} className={classes.choice}>
            {found.map(({ id, name }) => (
              <Checkbox
                key={id}
                size="xs"
                label={name}
                checked={chosen.includes(id)}
                disabled={full && !chosen.includes(id)}
                onChange={() => toggle(id)}
              />
            ))}
          </Stack>
          <Text size="xs" c="dimmed" aria-live="polite">
            {full ? t("sync.full", { most: MOST_CAMERAS }) : t("sync.chosen", { count: chosen.length, most: MOST_CAMERAS })}
          </Text>
          <Button size="xs" onClick={() => onOpen(false)}>
            {t("sync.done")}
          </Button>
        </Stack>
      </Popover.Dropdown>
    </Popover>
  );
}
