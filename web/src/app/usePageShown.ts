import { useEffect, useState } from "react";

/**
 * Whether the page is in front of someone: false once it has been hidden for `patienceMs`, so that a
 * forgotten tab takes no video, while a look at another tab interrupts nothing.
 */
export function usePageShown(patienceMs: number): boolean {
  const [shown, setShown] = useState(true);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const onChange = () => {
      clearTimeout(timer);
      if (document.hidden) timer = setTimeout(() => setShown(false), patienceMs);
      else setShown(true);
    };
    document.addEventListener("visibilitychange", onChange);
    return () => {
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", onChange);
    };
  }, [patienceMs]);
  return shown;
}
