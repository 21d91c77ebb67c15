/** The system's processes: how they are, and restarting one. */
import { Alert, Center, Container, Loader, Text, Title } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { IconInfoCircle } from "@tabler/icons-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { useProcesses } from "../api/queries";
import type { Process } from "../api/types";
import { useTitle } from "../app/useTitle";
import { useFormat } from "../i18n/format";
import { VolumesSection } from "../storage/VolumesSection";
import { inOrder, troubleOf } from "./processes";
import { ProcessCards, ProcessTable } from "./ProcessRows";
import { RestartDialog } from "./RestartDialog";

export function SystemPage() {
  const { t } = useTranslation("system");
  useTitle(t("title"));
  const { processes, error, toldAtMs } = useProcesses();
  const [restarting, setRestarting] = useState<Process | null>(null);
  const wide = useMediaQuery("(min-width: 75em)", true, { getInitialValueInEffect: false });
  const Rows = wide ? ProcessTable : ProcessCards;
  return (
    <Container size="xl" py="md">
      <Title order={1} size="h3" mb="sm">
        {t("title")}
      </Title>
      <VolumesSection />
      <Title order={2} size="h4">
        {t("processes")}
      </Title>
      <Text c="dimmed" size="sm" mb="md">
        {t("subtitle")}
      </Text>
      <div role="status">{error && <TroubleNote error={error} toldAtMs={processes && toldAtMs} />}</div>
      {processes === null && !error && (
        <Center h={240}>
          <Loader aria-label={t("loading")} />
        </Center>
      )}
      {processes && <Rows processes={inOrder(processes)} old={error !== null} onRestart={setRestarting} />}
      {restarting && <RestartDialog process={restarting} onClose={() => setRestarting(null)} />}
    </Container>
  );
}

/** `toldAtMs`: when the figures that are still shown were told; null: none are. */
function TroubleNote({ error, toldAtMs }: { error: Error; toldAtMs: number | null }) {
  const { t } = useTranslation("system");
  const format = useFormat();
  const trouble = troubleOf(error);
  return (
    <Alert variant="default" icon={<IconInfoCircle size={18} />} mb="md" p="xs" data-testid="system-trouble">
      {trouble === "other" ? t("trouble.other", { detail: error.message }) : t(`trouble.${trouble ?? "no_answer"}`)}
      {toldAtMs !== null && ` ${t("trouble.old", { time: format.time(toldAtMs) })}`}
    </Alert>
  );
}
