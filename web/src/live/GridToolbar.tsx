/** Layout, page and fullscreen of the wall. */
import { ActionIcon, Group, SegmentedControl, Text, Tooltip } from "@mantine/core";
import { IconArrowsMaximize, IconChevronLeft, IconChevronRight } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";

import { type Layout, LAYOUTS } from "./gridLayout";

interface Props {
  layout: Layout;
  onLayout: (layout: Layout) => void;
  page: number;
  pages: number;
  onPage: (page: number) => void;
  onFullscreen: () => void;
}

export function GridToolbar({ layout, onLayout, page, pages, onPage, onFullscreen }: Props) {
  const { t } = useTranslation("live");
  return (
    <Group gap="xs" wrap="nowrap">
      <SegmentedControl
        size="xs"
        aria-label={t("layout.label")}
        value={layout}
        onChange={(value) => onLayout(value)}
        data={LAYOUTS.map((value) => ({ value, label: value === "auto" ? t("layout.auto") : value }))}
      />
      {pages > 1 && (
        <Group gap={2} wrap="nowrap" role="group" aria-label={t("pager.label")}>
          <ActionIcon
            variant="subtle"
            color="gray"
            aria-label={t("pager.previous")}
            disabled={page <= 1}
            onClick={() => onPage(page - 1)}
          >
            <IconChevronLeft size={18} />
          </ActionIcon>
          <Text size="xs" c="dimmed" aria-live="polite" style={{ whiteSpace: "nowrap" }}>
            {t("pager.page", { page, pages })}
          </Text>
          <ActionIcon
            variant="subtle"
            color="gray"
            aria-label={t("pager.next")}
            disabled={page >= pages}
            onClick={() => onPage(page + 1)}
          >
            <IconChevronRight size={18} />
          </ActionIcon>
        </Group>
      )}
      <Tooltip label={t("wallFullscreen")}>
        <ActionIcon variant="subtle" color="gray" aria-label={t("wallFullscreen")} onClick={onFullscreen}>
          <IconArrowsMaximize size={18} />
        </ActionIcon>
      </Tooltip>
    </Group>
  );
}
