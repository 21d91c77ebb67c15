"""Whether a stream can be watched over WebRTC without conversion, and why not."""

from dataclasses import dataclass

from vms.media import Codec, Hub, MediaKind
from vms.stream.errors import NotViewable, NotViewableReason


@dataclass(frozen=True, slots=True)
class Viewability:
    """reason: None when playable. detail: text for a person; "" when playable."""

    playable: bool
    reason: NotViewableReason | None = None
    detail: str = ""

    def require(self) -> None:
        """Raises NotViewable unless playable."""
        if self.reason is not None:
            raise NotViewable(self.reason, self.detail)


def viewability(hub: Hub) -> Viewability:
    """What WebRTC can do with a hub's stream as it is now.

    B-frames: WebRTC shows pictures in the order in which they are sent; a stream that says that it
    reorders, or was seen to, would jump back and forth.
    """
    track = hub.track(MediaKind.VIDEO)
    if track is None:
        if hub.tracks:
            return _no(NotViewableReason.CODEC, "the camera sends no video")
        return _no(NotViewableReason.NOT_LIVE, "nothing has come from the camera yet")
    if track.codec is not Codec.H264:
        name = track.codec.value.upper().replace("H26", "H.26")
        return _no(
            NotViewableReason.CODEC,
            f"the camera sends {name}, which browsers do not take for live view; set it to H.264",
        )
    if track.max_reorder > 0 or any(
        unit.pts != unit.dts for unit in hub.gop if unit.track.kind is track.kind
    ):
        return _no(
            NotViewableReason.B_FRAMES,
            "the camera sends B-frames, which live view cannot show; turn them off, "
            "or choose the Baseline profile in the camera",
        )
    return Viewability(True)


def _no(reason: NotViewableReason, detail: str) -> Viewability:
    return Viewability(False, reason, detail)
