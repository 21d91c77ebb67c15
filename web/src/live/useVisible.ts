import { type RefObject, useEffect, useState } from "react";

/** A tile that is about to be scrolled in connects before it is seen. */
const MARGIN = "200px";

/** Whether the element is on the screen, or nearly so. */
export function useVisible(element: RefObject<Element | null>): boolean {
  const [visible, setVisible] = useState(false);
  useEffect(() => {
    if (!element.current) return undefined;
    const observer = new IntersectionObserver(
      (entries) => setVisible(entries.at(-1)?.isIntersecting ?? false),
      { rootMargin: MARGIN },
    );
    observer.observe(element.current);
    return () => observer.disconnect();
  }, [element]);
  return visible;
}
