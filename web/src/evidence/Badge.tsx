/** A verdict in a word, a symbol and a colour; never by colour alone. */
import {
  IconAlertTriangle,
  IconCircleDashed,
  IconFileAlert,
  IconHourglass,
  IconLockQuestion,
  IconRosetteDiscountCheck,
  IconShieldX,
} from "@tabler/icons-react";
import type { ReactNode } from "react";

import classes from "./evidence.module.css";
import { type RangeVerdict, TONES } from "./verdict";

const ICONS: Readonly<Record<RangeVerdict, typeof IconHourglass>> = {
  verified: IconRosetteDiscountCheck,
  recovered: IconRosetteDiscountCheck,
  recording: IconHourglass,
  nothing: IconCircleDashed,
  unsigned: IconLockQuestion,
  partly: IconLockQuestion,
  untrusted: IconAlertTriangle,
  unreadable: IconFileAlert,
  changed: IconShieldX,
};

export function VerdictFace({ verdict, children }: { verdict: RangeVerdict; children: ReactNode }) {
  const Icon = ICONS[verdict];
  return (
    <>
      <Icon size={15} aria-hidden />
      {children}
    </>
  );
}

/** Where there is nothing to open. */
export function VerdictBadge({ verdict, children }: { verdict: RangeVerdict; children: ReactNode }) {
  return (
    <span className={classes.badge} data-tone={TONES[verdict]} data-verdict={verdict}>
      <VerdictFace verdict={verdict}>{children}</VerdictFace>
    </span>
  );
}
