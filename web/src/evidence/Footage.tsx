/** Which camera and when, as a way there. */
import { Anchor, Text } from "@mantine/core";
import { Link } from "react-router";

import type { Camera } from "../api/types";
import { useFormat } from "../i18n/format";

interface Props {
  cameraId: string;
  cameras: readonly Camera[];
  startMs: number;
  /** The same as its start: a moment. */
  endMs: number;
}

export function Footage({ cameraId, cameras, startMs, endMs }: Props) {
  const format = useFormat();
  const camera = cameras.find(({ id }) => id === cameraId);
  const when =
    endMs === startMs
      ? format.dateTime(startMs)
      : `${format.dateTime(startMs)} – ${format.day(startMs) === format.day(endMs) ? format.time(endMs) : format.dateTime(endMs)}`;
  return (
    <div>
      {camera ? (
        <Anchor component={Link} to={`/cameras/${cameraId}?at=${new Date(startMs).toISOString()}`} size="sm" fw={600}>
          {camera.name}
        </Anchor>
      ) : (
        <Text size="sm" fw={600}>
          {cameraId}
        </Text>
      )}
      <Text size="xs" c="dimmed" style={{ whiteSpace: "nowrap" }}>
        {when}
        {endMs > startMs && ` (${format.duration(endMs - startMs)})`}
      </Text>
    </div>
  );
}
