/** The way to an export of what is looked at. */
import { Button } from "@mantine/core";
import { IconFileExport } from "@tabler/icons-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { useCameras } from "../api/queries";
import type { Span } from "../api/recordings";
import { ExportDialog } from "./ExportDialog";

interface Props {
  cameraIds: readonly string[];
  range: Span;
  nowMs: number;
  size?: string;
}

export function ExportButton({ cameraIds, range, nowMs, size = "sm" }: Props) {
  const { t } = useTranslation("exports");
  const { cameras } = useCameras();
  const [opened, setOpened] = useState(false);
  return (
    <>
      <Button
        size={size}
        variant="default"
        data-testid="export-open"
        leftSection={<IconFileExport size={16} aria-hidden />}
        onClick={() => setOpened(true)}
      >
        {t("open")}
      </Button>
      {opened && (
        <ExportDialog cameras={cameras} cameraIds={cameraIds} range={range} nowMs={nowMs} onClose={() => setOpened(false)} />
      )}
    </>
  );
}
