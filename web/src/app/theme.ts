/** Colours and shapes: dark and quiet, so that pictures and alarms are what stands out. */
import { createTheme, type MantineColorsTuple } from "@mantine/core";

const slate: MantineColorsTuple = [
  "#e6ebf1",
  "#c3ccd7",
  "#94a2b3",
  "#66758a",
  "#33404f",
  "#232d39",
  "#19212b",
  "#10161d",
  "#0b0f14",
  "#06090c",
];

const signal: MantineColorsTuple = [
  "#e3faf7",
  "#c4f1eb",
  "#93e4da",
  "#5fd5c8",
  "#36c5b6",
  "#1eb0a1",
  "#14958a",
  "#0f786f",
  "#0d5f59",
  "#0a4a46",
];

export const theme = createTheme({
  colors: { dark: slate, signal },
  primaryColor: "signal",
  primaryShade: { light: 7, dark: 5 },
  autoContrast: true,
  luminanceThreshold: 0.33,
  fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif',
  fontFamilyMonospace: 'ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace',
  defaultRadius: "md",
  cursorType: "pointer",
  respectReducedMotion: true,
});
