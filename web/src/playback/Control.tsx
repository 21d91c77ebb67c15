/** A button of the player: an icon, what it does, and its key. */
import { ActionIcon, Tooltip } from "@mantine/core";
import type { ReactNode } from "react";

interface Props {
  label: string;
  /** As it is printed on the key. */
  shortcut?: string;
  onClick: () => void;
  disabled?: boolean;
  strong?: boolean;
  pressed?: boolean;
  testId?: string;
  children: ReactNode;
}

export function Control({ label, shortcut, onClick, disabled = false, strong = false, pressed, testId, children }: Props) {
  return (
    <Tooltip label={shortcut === undefined ? label : `${label} (${shortcut})`} openDelay={300}>
      <ActionIcon
        variant={strong || pressed ? "light" : "subtle"}
        color={strong || pressed ? "signal" : "gray"}
        size="lg"
        aria-label={label}
        aria-pressed={pressed}
        data-testid={testId}
        disabled={disabled}
        onClick={onClick}
      >
        {children}
      </ActionIcon>
    </Tooltip>
  );
}
