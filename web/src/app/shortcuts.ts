/** Keys that work anywhere on a page, except while something is being typed or a dialog is open. */
import { useEffect, useRef } from "react";

export type Shortcuts = Record<string, (event: KeyboardEvent) => void>;

const TYPING = "input, textarea, select, [contenteditable], [role=dialog], [role=listbox], [role=menu]";
/** These keys already mean something on what has the focus. */
const OPERATED = "button, a, [role=slider], [role=radio], [role=radiogroup]";
const OPERATING_KEYS = new Set([" ", "Enter", "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"]);

export function isForPage(event: KeyboardEvent): boolean {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return false;
  const target = event.target instanceof Element ? event.target : null;
  if (target?.closest(TYPING)) return false;
  return !(OPERATING_KEYS.has(event.key) && target?.closest(OPERATED));
}

/** Call the function under the pressed key (`KeyboardEvent.key`; letters in lower case). */
export function useShortcuts(shortcuts: Shortcuts): void {
  const latest = useRef(shortcuts);
  useEffect(() => {
    latest.current = shortcuts;
  });
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (!isForPage(event)) return;
      const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
      const action = latest.current[key];
      if (!action) return;
      event.preventDefault();
      action(event);
    };
    addEventListener("keydown", onKeyDown);
    return () => removeEventListener("keydown", onKeyDown);
  }, []);
}
