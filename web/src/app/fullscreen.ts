/** Fill the screen with `element`, or leave fullscreen when it already does. */
export function toggleFullscreen(element: Element | null): void {
  // Browsers that refuse (an iPhone does) leave the page as it is, which is all that can be done.
  if (document.fullscreenElement) void document.exitFullscreen().catch(() => undefined);
  else void element?.requestFullscreen?.().catch(() => undefined);
}
