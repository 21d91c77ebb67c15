/**
 * Browsers pause a tab that they freeze (to save memory or a battery), and video at a media key, and do not play on by
 * themselves. Pictures would still come and be counted while an old one stands there as if it were the present.
 */
export function keepPlaying(video: HTMLVideoElement): () => void {
  const goOn = () => {
    if (video.paused) video.play().catch(() => undefined);
  };
  video.addEventListener("pause", goOn);
  for (const event of ["resume", "visibilitychange"]) document.addEventListener(event, goOn);
  return () => {
    video.removeEventListener("pause", goOn);
    for (const event of ["resume", "visibilitychange"]) document.removeEventListener(event, goOn);
  };
}
