/** The processes as a table, or as cards where a table does not fit. */
import { Button, Card, Group, Table, Text } from "@mantine/core";
import { IconRefresh } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";

import type { Process } from "../api/types";
import { type Format, useFormat } from "../i18n/format";
import { canRestart } from "./processes";
import classes from "./system.module.css";

interface Props {
  processes: Process[];
  /** They could not be told anew: these are the last figures. */
  old: boolean;
  onRestart: (process: Process) => void;
}

const NONE = "–";

/** The figures, in the order of the columns; those that mean nothing for a role, or while it has no process, are left out. */
const FIGURES: readonly [name: FigureName, text: (process: Process, format: Format) => string][] = [
  ["cameras", ({ role, cameras }, format) => (role === "media" ? format.number(cameras) : NONE)],
  ["viewers", ({ role, viewers }, format) => (role === "stream" ? format.number(viewers) : NONE)],
  ["cpu", ({ pid, cpu_percent }, format) => (pid === 0 ? NONE : format.percent(cpu_percent / 100))],
  ["memory", ({ pid, memory_bytes }, format) => (pid === 0 ? NONE : format.bytes(memory_bytes))],
  ["lag", ({ loop_lag_ms }, format) => (loop_lag_ms === null ? NONE : format.milliseconds(loop_lag_ms))],
  ["restarts", ({ restarts }, format) => format.number(restarts)],
  ["uptime", ({ pid, uptime_s }, format) => (pid === 0 ? NONE : format.duration(uptime_s * 1_000))],
  ["pid", ({ pid }) => (pid === 0 ? NONE : String(pid))],
];
type FigureName = "cameras" | "viewers" | "cpu" | "memory" | "lag" | "restarts" | "uptime" | "pid";

export function ProcessTable({ processes, old, onRestart }: Props) {
  const { t } = useTranslation("system");
  const format = useFormat();
  return (
    <Table.ScrollContainer minWidth={900}>
      <Table verticalSpacing="xs" highlightOnHover className={classes.figures} data-old={old || undefined}>
        <caption className={classes.hidden}>{t("title")}</caption>
        <Table.Thead>
          <Table.Tr>
            <Table.Th scope="col">{t("column.process")}</Table.Th>
            <Table.Th scope="col">{t("column.state")}</Table.Th>
            {FIGURES.map(([name]) => (
              <Table.Th key={name} scope="col" ta="right" title={t(`help.${name}`)}>
                {t(`column.${name}`)}
              </Table.Th>
            ))}
            <Table.Th scope="col">
              <span className={classes.hidden}>{t("restart.column")}</span>
            </Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {processes.map((process) => (
            <Table.Tr key={process.worker} data-testid={`process-${process.worker}`} data-state={process.state}>
              <Table.Th scope="row" fw={400}>
                <Name process={process} />
              </Table.Th>
              <Table.Td>
                <State process={process} />
              </Table.Td>
              {FIGURES.map(([name, text]) => (
                <Table.Td key={name} ta="right" className={classes.figure}>
                  {text(process, format)}
                </Table.Td>
              ))}
              <Table.Td ta="right">
                <Restart process={process} onRestart={onRestart} />
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

export function ProcessCards({ processes, old, onRestart }: Props) {
  const { t } = useTranslation("system");
  const format = useFormat();
  return (
    <ul className={classes.cards} data-old={old || undefined}>
      {processes.map((process) => (
        <Card
          key={process.worker}
          component="li"
          withBorder
          p="sm"
          data-testid={`process-${process.worker}`}
          data-state={process.state}
        >
          <Group justify="space-between" wrap="nowrap" align="flex-start">
            <Name process={process} />
            <Restart process={process} onRestart={onRestart} />
          </Group>
          <State process={process} />
          <dl className={classes.facts}>
            {FIGURES.map(([name, text]) => [name, text(process, format)] as const)
              .filter(([, value]) => value !== NONE)
              .map(([name, value]) => (
                <div key={name}>
                  <dt>{t(`column.${name}`)}</dt>
                  <dd className={classes.figure}>{value}</dd>
                </div>
              ))}
          </dl>
        </Card>
      ))}
    </ul>
  );
}

function Name({ process: { role, worker } }: { process: Process }) {
  const { t } = useTranslation("system");
  return (
    <div>
      <Text fw={600} size="sm">
        {worker}
      </Text>
      <Text size="xs" c="dimmed" maw={260}>
        {t(`role.${role}`, { defaultValue: role })}
      </Text>
    </div>
  );
}

function State({ process: { state, detail } }: { process: Process }) {
  const { t } = useTranslation("system");
  return (
    <div>
      <span className={classes.state} data-state={state}>
        <span className={classes.dot} aria-hidden />
        {t(`state.${state}`, { defaultValue: state })}
      </span>
      {detail !== "" && (
        <Text size="xs" c="dimmed" maw={260}>
          {detail}
        </Text>
      )}
    </div>
  );
}

function Restart({ process, onRestart }: { process: Process; onRestart: (process: Process) => void }) {
  const { t } = useTranslation("system");
  if (process.role === "supervisor") return null;
  return (
    <Button
      variant="default"
      size="compact-sm"
      leftSection={<IconRefresh size={14} aria-hidden />}
      aria-label={t("restart.label", { worker: process.worker })}
      disabled={!canRestart(process)}
      onClick={() => onRestart(process)}
    >
      {t("restart.button")}
    </Button>
  );
}
