/** The moving picture of a live stream; what surrounds it is the tile's or the page's. */
import { type RefObject, useEffect, useRef, useState } from "react";

import { keepPlaying } from "./keepPlaying";
import classes from "./live.module.css";
import type { LiveMedia } from "./session";

interface Props {
  video: RefObject<HTMLVideoElement | null>;
  stream: LiveMedia | null;
  muted: boolean;
  label: string;
  /** Pictures come; when they no longer do, the last one stays. */
  moving: boolean;
  /** It is not the present, and must not be taken for it. */
  dimmed: boolean;
}

export function LiveVideo({ video: ref, stream, muted, label, moving, dimmed }: Props) {
  useEffect(() => {
    const element = ref.current;
    if (!element) return undefined;
    if (stream !== null && "attach" in stream) return stream.attach(element);
    if (element.srcObject === stream) return undefined;
    element.srcObject = stream;
    // Refused only for sound without a gesture; muted play is always allowed.
    if (stream) element.play().catch(() => undefined);
    return undefined;
  }, [ref, stream]);

  useEffect(() => {
    const element = ref.current;
    return element && stream !== null && !("attach" in stream) ? keepPlaying(element) : undefined;
  }, [ref, stream]);

  // A video whose session has ended turns black, so its last picture is kept aside while it is there.
  const last = useRef<HTMLCanvasElement>(null);
  const [kept, setKept] = useState(false);
  useEffect(() => {
    const [canvas, element] = [last.current, ref.current];
    if (moving || !canvas || !element || element.videoWidth === 0) return undefined;
    canvas.width = element.videoWidth;
    canvas.height = element.videoHeight;
    canvas.getContext("2d")?.drawImage(element, 0, 0);
    setKept(true);
    return () => setKept(false);
  }, [moving, ref]);

  return (
    <>
      {/* oxlint-disable-next-line jsx-a11y/media-has-caption -- a live camera has no captions */}
      <video
        ref={ref}
        className={classes.picture}
        data-testid="live-video"
        data-dimmed={dimmed || undefined}
        aria-label={label}
        autoPlay
        playsInline
        muted={muted}
      />
      <canvas ref={last} className={classes.picture} data-dimmed={dimmed || undefined} hidden={!kept} aria-hidden />
    </>
  );
}
