/** Play, pause, jump, step, turn round, speed: for one camera or for many at once. */
import { Select, Text } from "@mantine/core";
import {
  IconArrowBackUp,
  IconArrowForwardUp,
  IconChevronsLeft,
  IconChevronsRight,
  IconPlayerPause,
  IconPlayerPlay,
  IconPlayerSkipBack,
  IconPlayerSkipForward,
  IconPlayerTrackNext,
  IconPlayerTrackPrev,
  IconRewindBackward10,
  IconRewindBackward60,
  IconRewindForward10,
  IconRewindForward60,
} from "@tabler/icons-react";
import { useTranslation } from "react-i18next";

import { useFormat } from "../i18n/format";
import { Control } from "./Control";
import { GoToTime } from "./GoToTime";
import classes from "./playback.module.css";
import { RATES } from "./rates";
import { LONG_JUMP_MS, reverse, SHORT_JUMP_MS, type Transport } from "./transport";

interface Props {
  transport: Transport;
  nowMs: number;
}

export function TransportButtons({ transport, nowMs }: Props) {
  const { t } = useTranslation("playback");
  const { active, running, rate, playheadMs } = transport;
  const format = useFormat();
  const mark = format.zoneMark(playheadMs);
  return (
    <>
      <div className={classes.buttons}>
        <Control label={t("previousGap")} shortcut="Shift+G" onClick={() => transport.gap(-1)}>
          <IconChevronsLeft size={20} />
        </Control>
        <Control label={t("previousEvent")} shortcut="Shift+E" onClick={() => transport.event(-1)}>
          <IconPlayerTrackPrev size={18} />
        </Control>
        <Control label={t("back60")} shortcut="Shift+←" onClick={() => transport.seekBy(-LONG_JUMP_MS)}>
          <IconRewindBackward60 size={20} />
        </Control>
        <Control label={t("back10")} shortcut="←" onClick={() => transport.seekBy(-SHORT_JUMP_MS)}>
          <IconRewindBackward10 size={20} />
        </Control>
        <Control label={t("frameBack")} shortcut="," testId="frame-back" onClick={() => transport.step(-1)} disabled={!active}>
          <IconPlayerSkipBack size={18} />
        </Control>
        <Control
          label={t(rate < 0 ? "playForward" : "playBackward")}
          shortcut="R"
          testId="reverse"
          onClick={() => reverse(transport)}
          disabled={!active}
          pressed={active && rate < 0}
        >
          {rate < 0 ? <IconArrowForwardUp size={20} /> : <IconArrowBackUp size={20} />}
        </Control>
        <Control label={t(running ? "pause" : "play")} shortcut="K" testId="play" onClick={transport.togglePlay} strong>
          {running ? <IconPlayerPause size={22} /> : <IconPlayerPlay size={22} />}
        </Control>
        <Control label={t("frameForward")} shortcut="." testId="frame-forward" onClick={() => transport.step(1)} disabled={!active}>
          <IconPlayerSkipForward size={18} />
        </Control>
        <Control label={t("forward10")} shortcut="→" onClick={() => transport.seekBy(SHORT_JUMP_MS)} disabled={!active}>
          <IconRewindForward10 size={20} />
        </Control>
        <Control label={t("forward60")} shortcut="Shift+→" onClick={() => transport.seekBy(LONG_JUMP_MS)} disabled={!active}>
          <IconRewindForward60 size={20} />
        </Control>
        <Control label={t("nextEvent")} shortcut="E" onClick={() => transport.event(1)} disabled={!active}>
          <IconPlayerTrackNext size={18} />
        </Control>
        <Control label={t("nextGap")} shortcut="G" onClick={() => transport.gap(1)} disabled={!active}>
          <IconChevronsRight size={20} />
        </Control>
      </div>
      <Text className={classes.clock} component="time" dateTime={new Date(playheadMs).toISOString()} data-testid="clock">
        <span className={classes.clockDate}>{format.date(playheadMs)}</span>{" "}
        {active && !running ? format.exactTime(playheadMs) : format.time(playheadMs)}
        {mark !== null && <span className={classes.clockDate}> {mark}</span>}
      </Text>
      <GoToTime atMs={playheadMs} nowMs={nowMs} onGo={transport.goTo} />
      <Speed transport={transport} />
    </>
  );
}

/** The chosen speed and, where it is another, the real one; the place for it is always there. */
function Speed({ transport }: { transport: Transport }) {
  const { t } = useTranslation("playback");
  const format = useFormat();
  const { active, running, rate, actual, keyPictures } = transport;
  return (
    <div className={classes.speed}>
      <Select
        size="xs"
        w={84}
        aria-label={t("speed")}
        allowDeselect={false}
        disabled={!active}
        comboboxProps={{ withinPortal: true }}
        value={String(active ? rate : 1)}
        onChange={(value) => transport.setRate(Number(value))}
        data={RATES.map((each) => ({ value: String(each), label: format.speed(each) }))}
      />
      <Text
        size="xs"
        className={classes.actual}
        data-testid="actual-speed"
        data-actual={actual ?? undefined}
        data-key-pictures={keyPictures || undefined}
        title={keyPictures ? t("keyPicturesHelp") : t("actualHelp")}
      >
        {active && running && actual !== null ? t("actual", { speed: format.speed(actual) }) : ""}
        {active && running && actual === null && keyPictures ? t("keyPictures") : ""}
      </Text>
    </div>
  );
}
