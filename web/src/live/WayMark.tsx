/** Which protocol brings the picture, and which of the camera's streams it is. */
import { type RefObject, useEffect, useState } from "react";
import { useTranslation } from "react-i18next";

import type { Camera } from "../api/types";
import type { LiveProtocol } from "./latencyWindow";
import classes from "./live.module.css";
import type { LiveView } from "./session";
import { streamShown } from "./streamShown";

const NAMES: Record<LiveProtocol, string> = {
  webrtc: "WebRTC",
  websocket: "WebSocket",
  hls: "HLS",
  webtransport: "WebTransport",
};

interface Props {
  camera: Camera;
  view: LiveView | null;
  video: RefObject<HTMLVideoElement | null>;
}

export function WayMark({ camera, view, video }: Props) {
  const { t } = useTranslation("live");
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const element = video.current;
    if (!element) return undefined;
    const measure = () => setWidth(element.videoWidth);
    measure();
    element.addEventListener("resize", measure);
    return () => element.removeEventListener("resize", measure);
  }, [video]);

  const stream = view && streamShown(view, camera, width);
  if (view === null || stream === null) return null;
  return (
    <span
      className={classes.way}
      data-testid="way"
      data-protocol={view.protocol}
      data-stream={stream}
      title={t("way.help")}
    >
      {t(view.protocol === "webtransport" ? "way.experimental" : "way.label", {
        protocol: NAMES[view.protocol],
        stream: t(`way.${stream}`),
      })}
    </span>
  );
}
