/** Whose clock times are shown by: a choice where there are two. */
import { SegmentedControl, Text } from "@mantine/core";
import { useTranslation } from "react-i18next";

import { zoneName } from "./format";
import { setZoneChoice, useZones } from "./zoneChoice";

/** atMs: the zones' abbreviations are those of then. */
export function ZoneSwitch({ atMs }: { atMs: number }) {
  const { t, i18n } = useTranslation("playback");
  const { choice, viewer, site } = useZones();
  const name = (zone: string) => zoneName(i18n.language, zone, atMs);
  if (site === null || site === viewer) {
    return (
      <Text size="xs" c="dimmed" title={viewer} data-testid="zone">
        {name(viewer)}
      </Text>
    );
  }
  return (
    <SegmentedControl
      size="xs"
      aria-label={t("zone.label")}
      data-testid="zone"
      value={choice}
      onChange={setZoneChoice}
      data={[
        { value: "viewer", label: t("zone.viewer", { zone: name(viewer) }) },
        { value: "site", label: t("zone.site", { zone: name(site) }) },
      ]}
    />
  );
}
