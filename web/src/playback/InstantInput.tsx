/** A date and a time to the second in the zone that is shown, typed or picked. */
import { Group, Input } from "@mantine/core";
import { DatePickerInput, TimePicker } from "@mantine/dates";
import { useTranslation } from "react-i18next";

import { fromLocalTime, type LocalTime, toLocalTime } from "../i18n/localTime";
import { useZone } from "../i18n/zoneChoice";

interface Props {
  label: string;
  value: number;
  maxMs: number;
  onChange: (ms: number) => void;
  /** In a dialog, typing begins with the hours. */
  focusTime?: boolean;
}

export function InstantInput({ label, value, maxMs, onChange, focusTime = false }: Props) {
  const { t } = useTranslation("playback");
  const zone = useZone();
  const local = toLocalTime(zone, value);
  const change = (part: Partial<LocalTime>) => {
    const ms = fromLocalTime(zone, { ...local, ...part });
    if (ms !== null) onChange(ms);
  };
  return (
    <Input.Wrapper label={label} size="xs">
      <Group gap={6} wrap="nowrap">
        <DatePickerInput
          size="xs"
          flex={1}
          aria-label={t("selection.dateOf", { field: label })}
          valueFormat="DD MMM YYYY"
          maxDate={toLocalTime(zone, maxMs).date}
          value={local.date}
          onChange={(date) => {
            if (date !== null) change({ date });
          }}
          previousLabel={t("calendar.previous")}
          nextLabel={t("calendar.next")}
        />
        <TimePicker
          size="xs"
          w={112}
          withSeconds
          data-autofocus={focusTime || undefined}
          format="24h"
          aria-label={label}
          hoursInputLabel={t("selection.hoursOf", { field: label })}
          minutesInputLabel={t("selection.minutesOf", { field: label })}
          secondsInputLabel={t("selection.secondsOf", { field: label })}
          value={local.time}
          onChange={(time) => change({ time })}
        />
      </Group>
    </Input.Wrapper>
  );
}
