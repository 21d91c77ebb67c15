"""Whether a stream can be watched over WebRTC without conversion, and why not."""

from collections.abc import Sequence
from dataclasses import dataclass

from vms.media import Codec, Hub, MediaKind, Track
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
    """What WebRTC can do with a hub's stream as it is now."""
    return viewability_of(hub.tracks, hub.reorders)


def viewability_of(tracks: Sequence[Track], reorders: bool) -> Viewability:
    """What WebRTC can do with a stream of these tracks.

    reorders: B-frames were seen. WebRTC shows pictures in the order in which they are sent; a stream that says
    that it reorders, or was seen to, would jump back and forth.
    """
    track = next((track for track in tracks if track.kind is MediaKind.VIDEO), None)
    if track is None:
        if tracks:
            return _no(NotViewableReason.CODEC, "the camera sends no video")
        return _no(NotViewableReason.NOT_LIVE, "nothing has come from the camera yet")
    if track.codec is not Codec.H264:
        name = track.codec.value.upper().replace("H26", "H.26")
        return _no(
            NotViewableReason.CODEC,
            f"the camera sends {name}, which browsers do not take for live view; set it to H.264",
        )
    if track.max_reorder > 0 or reorders:
        return _no(
            NotViewableReason.B_FRAMES,
            "the camera sends B-frames, which live view cannot show; turn them off, "
            "or choose the Baseline profile in the camera",
        )
    return Viewability(True)


def _no(reason: NotViewableReason, detail: str) -> Viewability:
    return Viewability(False, reason, detail)
