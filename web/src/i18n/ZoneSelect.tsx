/** A time zone of the IANA database, chosen by name. */
import { Select } from "@mantine/core";

import { isZone } from "./zone";

interface Props {
  label: string;
  description?: string;
  value: string;
  onChange: (zone: string) => void;
  /** Offered first, under its own name: the value is empty. */
  emptyLabel?: string;
  disabled?: boolean;
}

const ZONES: readonly string[] = typeof Intl.supportedValuesOf === "function" ? ["UTC", ...Intl.supportedValuesOf("timeZone")] : ["UTC"];

export function ZoneSelect({ label, description, value, onChange, emptyLabel, disabled = false }: Props) {
  // One that this browser has under another name stays choosable.
  const names = value === "" || ZONES.includes(value) || !isZone(value) ? ZONES : [value, ...ZONES];
  const data = [
    ...(emptyLabel === undefined ? [] : [{ value: "", label: emptyLabel }]),
    ...[...new Set(names)].map((name) => ({ value: name, label: name.replaceAll("_", " ") })),
  ];
  return (
    <Select
      label={label}
      description={description}
      searchable
      allowDeselect={false}
      disabled={disabled}
      data={data}
      limit={500}
      value={value}
      onChange={(zone) => {
        if (zone !== null) onChange(zone);
      }}
    />
  );
}
