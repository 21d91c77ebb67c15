/** The parts of the camera form that say when it is recorded, and how long that is kept. */
import { Accordion, Group, NumberInput, Select, Stack, TagsInput, Text, TextInput } from "@mantine/core";
import type { UseFormReturnType } from "@mantine/form";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import type { RecordMode } from "../api/types";
import { type CameraForm, RECORD_MODES } from "./cameraForm";
import { ScheduleEditor } from "./ScheduleEditor";

/** Kinds that integrations commonly tell; any other may be written. */
const COMMON_KINDS = ["motion", "alarm", "door_open", "line_crossed", "person", "vehicle"];

interface Props {
  form: UseFormReturnType<CameraForm>;
}

export function RecordingFields({ form }: Props) {
  const { t } = useTranslation("cameras");
  const { record, schedule } = form.values;
  return (
    <Stack gap="sm">
      <Select
        label={t("form.record")}
        description={t(`mode.${record}.help`)}
        allowDeselect={false}
        data-testid="record-mode"
        value={record}
        onChange={(mode) => {
          if (mode !== null) form.setFieldValue("record", mode as RecordMode);
        }}
        data={RECORD_MODES.map((mode) => ({ value: mode, label: t(`mode.${mode}.name`) }))}
      />
      {record === "schedule" && (
        <ScheduleEditor
          value={schedule}
          error={form.errors["schedule"]}
          onChange={(value) => {
            form.clearFieldError("schedule");
            form.setFieldValue("schedule", value);
          }}
        />
      )}
    </Stack>
  );
}

/** Open where something in it is wrong, or where the mode depends on it. */
export function KeepingFields({ form }: Props) {
  const { t } = useTranslation("cameras");
  const [opened, setOpened] = useState<string[]>([]);
  const { record } = form.values;
  const wrong = (...fields: (keyof CameraForm)[]) => fields.some((field) => form.errors[field] !== undefined);
  const forced = [
    ...(record === "events" || wrong("eventKinds", "preRollS", "postRollS") ? ["events"] : []),
    ...(wrong("retentionClass", "limitEvents", "limitMinimum", "limitMaximum", "limitSize") ? ["limits"] : []),
  ];
  return (
    <Accordion multiple variant="separated" value={[...new Set([...opened, ...forced])]} onChange={setOpened}>
      <Accordion.Item value="events">
        <Accordion.Control>{t("form.events")}</Accordion.Control>
        <Accordion.Panel>
          <EventFields form={form} />
        </Accordion.Panel>
      </Accordion.Item>
      <Accordion.Item value="limits">
        <Accordion.Control>{t("form.limits")}</Accordion.Control>
        <Accordion.Panel>
          <LimitFields form={form} />
        </Accordion.Panel>
      </Accordion.Item>
    </Accordion>
  );
}

function EventFields({ form }: Props) {
  const { t } = useTranslation("cameras");
  return (
    <Stack gap="sm">
      <Text size="sm" c="dimmed">
        {t("form.eventsHelp")}
      </Text>
      <TagsInput {...form.getInputProps("eventKinds")} label={t("form.kinds")} description={t("form.kindsHelp")} data={COMMON_KINDS} maxTags={32} />
      <Group grow align="flex-start">
        <NumberInput {...form.getInputProps("preRollS")} label={t("form.preRoll")} description={t("form.preRollHelp")} suffix=" s" min={0} max={60} />
        <NumberInput
          {...form.getInputProps("postRollS")}
          label={t("form.postRoll")}
          description={t("form.postRollHelp")}
          suffix=" s"
          min={1}
          max={3600}
        />
      </Group>
    </Stack>
  );
}

function LimitFields({ form }: Props) {
  const { t } = useTranslation("cameras");
  const days = ` ${t("form.unit.d")}`;
  return (
    <Stack gap="sm">
      <Text size="sm" c="dimmed">
        {t("form.limitsHelp")}
      </Text>
      <Group grow align="flex-start">
        <NumberInput {...form.getInputProps("limitEvents")} label={t("form.limitEvents")} description={t("form.limitEventsHelp")} suffix={days} min={0} />
        <NumberInput {...form.getInputProps("limitMinimum")} label={t("form.limitMinimum")} description={t("form.limitMinimumHelp")} suffix={days} min={0} />
      </Group>
      <Group grow align="flex-start">
        <NumberInput {...form.getInputProps("limitMaximum")} label={t("form.limitMaximum")} description={t("form.limitMaximumHelp")} suffix={days} min={0} />
        <NumberInput {...form.getInputProps("limitSize")} label={t("form.limitSize")} description={t("form.limitSizeHelp")} suffix=" GiB" min={0} />
      </Group>
      <TextInput
        {...form.getInputProps("retentionClass")}
        label={t("form.retentionClass")}
        description={t("form.retentionClassHelp")}
        placeholder="evidence"
        autoComplete="off"
        spellCheck={false}
      />
    </Stack>
  );
}
