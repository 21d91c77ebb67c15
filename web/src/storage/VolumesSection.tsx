/** The volumes that recordings lie on: room, state, tiers, and what was found on them. */
import { Alert, Badge, Card, Group, Loader, Progress, Stack, Text, Title } from "@mantine/core";
import { IconLock } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";

import { useAlarms, useVolumes } from "../api/evidenceQueries";
import type { Tier, Volume } from "../api/evidenceTypes";
import { useFormat } from "../i18n/format";
import { AlarmList } from "./AlarmList";
import { findingsOf, sharesOf } from "./alarms";
import classes from "./storage.module.css";

const COLOURS = { ok: "green", starting: "yellow", failed: "red", full: "red", read_only: "red" } as const;
/** From here on a quota is nearly used up. */
const NEARLY = 0.95;

export function VolumesSection() {
  const { t } = useTranslation("storage");
  const { items, error } = useVolumes();
  const alarms = useAlarms();
  return (
    <section id="volumes" aria-labelledby="volumes-title" data-testid="volumes">
      {alarms.length > 0 && (
        <Stack gap="xs" mb="lg">
          <Title order={2} size="h4">
            {t("alarms")}
          </Title>
          <AlarmList alarms={alarms} />
        </Stack>
      )}
      <Title order={2} size="h4" id="volumes-title" mb="xs">
        {t("title")}
      </Title>
      <div role="status">
        {error && (
          <Alert variant="default" p="xs" mb="sm">
            {t("unknown", { detail: error.message })}
          </Alert>
        )}
      </div>
      {items === null && !error && <Loader aria-label={t("loading")} />}
      {items && (
        <ul className={classes.volumes}>
          {items.map((volume) => (
            <VolumeCard key={volume.path} volume={volume} />
          ))}
        </ul>
      )}
    </section>
  );
}

function VolumeCard({ volume }: { volume: Volume }) {
  const { t } = useTranslation("storage");
  const format = useFormat();
  const { path, state, error, encrypted, room_bytes: room, locked_bytes: locked } = volume;
  const findings = findingsOf(volume);
  return (
    <Card component="li" withBorder p="sm" data-testid="volume" data-state={state}>
      <Stack gap={6}>
        <Group gap="xs" wrap="nowrap" justify="space-between" align="flex-start">
          <Text fw={600} size="sm" className={classes.path ?? ""}>
            {path}
          </Text>
          <Group gap={4} wrap="nowrap">
            {encrypted && (
              <Badge variant="default" tt="none" leftSection={<IconLock size={12} aria-hidden />}>
                {t("encrypted")}
              </Badge>
            )}
            <Badge color={COLOURS[state]} variant="light" tt="none">
              {t(`state.${state}`)}
            </Badge>
          </Group>
        </Group>
        <Usage volume={volume} />
        <Text size="xs" c="dimmed">
          {t("room", { room: format.bytes(room) })}
          {locked > 0 && ` · ${t("locked", { size: format.bytes(locked) })}`}
        </Text>
        {(error !== null || state === "failed" || state === "full" || state === "read_only") && (
          <Alert color={COLOURS[state]} p="xs">
            {error !== null && <Text size="sm">{error}</Text>}
            {state !== "ok" && <Text size="sm">{t(`advice.${state}`)}</Text>}
          </Alert>
        )}
        {findings.length > 0 && (
          <Text size="xs" c="dimmed">
            {t("found.title")}: {findings.map(({ finding, count }) => t(`found.${finding}`, { count })).join(" · ")}
          </Text>
        )}
        {volume.tiers.map((tier) => (
          <TierLine key={tier.name} tier={tier} />
        ))}
      </Stack>
    </Card>
  );
}

function Usage({ volume }: { volume: Pick<Volume, "used_bytes" | "quota_bytes" | "locked_bytes"> }) {
  const { t } = useTranslation("storage");
  const format = useFormat();
  const { used, locked } = sharesOf(volume);
  const text = t("used", { used: format.bytes(volume.used_bytes), quota: format.bytes(volume.quota_bytes), share: format.percent(used) });
  return (
    <div>
      <Progress.Root size="lg" aria-label={text}>
        {locked > 0 && <Progress.Section value={locked * 100} color="violet" aria-label={t("lockedPart")} />}
        <Progress.Section value={(used - locked) * 100} color={used >= NEARLY ? "yellow" : "signal"} aria-label={text} />
      </Progress.Root>
      <Text size="xs">{text}</Text>
    </div>
  );
}

function TierLine({ tier }: { tier: Tier }) {
  const { t } = useTranslation("storage");
  const format = useFormat();
  return (
    <div data-testid="tier" data-failed={tier.error !== null}>
      <Text size="xs" fw={600}>
        {t("tier", { name: tier.name, kind: t(`kind.${tier.kind}`) })}
      </Text>
      <Text size="xs" c="dimmed">
        {tier.quota_bytes > 0
          ? t("used", {
              used: format.bytes(tier.used_bytes),
              quota: format.bytes(tier.quota_bytes),
              share: format.percent(tier.used_bytes / tier.quota_bytes),
            })
          : format.bytes(tier.used_bytes)}
      </Text>
      {tier.error !== null && (
        <Text size="xs" c="red">
          {tier.error}
        </Text>
      )}
    </div>
  );
}
