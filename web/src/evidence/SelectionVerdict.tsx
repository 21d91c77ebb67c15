/** What signatures say of a whole range: at once where it is short, else when asked, for all of it is read. */
import { Button, Group, Loader, Stack, Text } from "@mantine/core";
import { IconRosetteDiscountCheck } from "@tabler/icons-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import type { Span } from "../api/recordings";
import { VerdictBadge } from "./Badge";
import { useRangeVerification } from "./useVerification";
import { counted, rangeVerdict } from "./verdict";

const AT_ONCE_MS = 600_000;
export const MOST_MS = 25 * 3_600_000;

export function SelectionVerdict({ cameraId, range }: { cameraId: string; range: Span }) {
  const { t } = useTranslation("evidence");
  const lengthMs = range.endMs - range.startMs;
  const [askedFor, setAskedFor] = useState<string | null>(null);
  const own = `${range.startMs}-${range.endMs}`;
  const asked = lengthMs <= AT_ONCE_MS || askedFor === own;
  const possible = lengthMs > 0 && lengthMs <= MOST_MS;
  const { segments, error } = useRangeVerification(cameraId, range, asked && possible);
  if (!possible) return null;
  if (!asked) {
    return (
      <Button
        size="compact-sm"
        variant="default"
        leftSection={<IconRosetteDiscountCheck size={15} aria-hidden />}
        onClick={() => setAskedFor(own)}
      >
        {t("range.check")}
      </Button>
    );
  }
  return (
    <div role="status" data-testid="selection-verdict" data-verdict={segments ? rangeVerdict(segments) : undefined}>
      {segments ? (
        <Stack gap={4} align="flex-start">
          <VerdictBadge verdict={rangeVerdict(segments)}>{t(`range.${rangeVerdict(segments)}`)}</VerdictBadge>
          {counted(segments).length > 1 && (
            <Text size="xs" c="dimmed">
              {counted(segments)
                .map(({ verdict, count }) => `${t(`verdict.${verdict}.name`)}: ${count}`)
                .join(" · ")}
            </Text>
          )}
        </Stack>
      ) : error ? (
        <Text size="xs" c="dimmed">
          {t("badge.unknownText", { detail: error.message })}
        </Text>
      ) : (
        <Group gap={6}>
          <Loader size={12} aria-hidden />
          <Text size="xs" c="dimmed">
            {t("badge.checking")}
          </Text>
        </Group>
      )}
    </div>
  );
}
