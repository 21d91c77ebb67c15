/**
 * Decoded pictures as a media stream, which the same video element takes as WebRTC's. Chromium has a track that is
 * written to; elsewhere they are drawn, and the drawing is the stream.
 */
interface TrackGenerator extends MediaStreamTrack {
  readonly writable: WritableStream<VideoFrame>;
}

declare global {
  // Of Chromium alone (W3C mediacapture-transform, an earlier draft).
  var MediaStreamTrackGenerator: (new (init: { kind: "video" }) => TrackGenerator) | undefined;
}

export interface Screen {
  stream: MediaStream;
  /** Takes the picture over, and closes it. False: it is not shown, since those before it are not yet. */
  show: (frame: VideoFrame) => boolean;
  close: () => void;
}

export function makeScreen(): Screen {
  return globalThis.MediaStreamTrackGenerator === undefined ? drawn() : written(globalThis.MediaStreamTrackGenerator);
}

function written(Generator: new (init: { kind: "video" }) => TrackGenerator): Screen {
  const track = new Generator({ kind: "video" });
  const writer = track.writable.getWriter();
  return {
    stream: new MediaStream([track]),
    show: (frame) => {
      const free = (writer.desiredSize ?? 0) > 0;
      if (free) writer.write(frame).catch(() => frame.close());
      else frame.close();
      return free;
    },
    close: () => {
      writer.close().catch(() => undefined);
      track.stop();
    },
  };
}

function drawn(): Screen {
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d");
  const stream = canvas.captureStream();
  return {
    stream,
    show: (frame) => {
      if (canvas.width !== frame.displayWidth || canvas.height !== frame.displayHeight) {
        canvas.width = frame.displayWidth;
        canvas.height = frame.displayHeight;
      }
      context?.drawImage(frame, 0, 0);
      frame.close();
      return true;
    },
    close: () => {
      for (const track of stream.getTracks()) track.stop();
    },
  };
}
