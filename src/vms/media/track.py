"""One video or audio line of a stream, as its source describes it."""

from dataclasses import dataclass, field
from enum import StrEnum


class MediaKind(StrEnum):
    VIDEO = "video"
    AUDIO = "audio"


class Codec(StrEnum):
    """Codecs by the names that people use; RTP and MP4 names live with the protocols."""

    H264 = "h264"
    H265 = "h265"
    AAC = "aac"
    PCMU = "pcmu"
    PCMA = "pcma"
    OPUS = "opus"

    @property
    def kind(self) -> MediaKind:
        return MediaKind.VIDEO if self in (Codec.H264, Codec.H265) else MediaKind.AUDIO


@dataclass(frozen=True, slots=True)
class Track:
    """One encoded line of a stream. Immutable: new parameter sets make a new Track of the next version.

    id: position in the stream, from 1; the same over versions, unique among the stream's tracks.
    clock_rate: ticks a second of `AccessUnit.dts` and `.pts`; 90,000 for video, the sample rate for audio
        (48,000 for Opus).
    parameter_sets: H.264 (SPS…, PPS…), H.265 (VPS…, SPS…, PPS…), each a NAL unit without length or
        start code; AAC (AudioSpecificConfig,); empty for the others.
    width, height: pixels as displayed after cropping; 0 for audio.
    max_reorder: how many pictures may precede a picture in decoding order and follow it in output order
        (ITU-T H.264 E.2.1 max_num_reorder_frames); above 0 the stream has B-frames.
    sample_rate, channels: 0 for video.
    """

    id: int
    codec: Codec
    clock_rate: int
    parameter_sets: tuple[bytes, ...] = ()
    version: int = 0
    width: int = 0
    height: int = 0
    max_reorder: int = 0
    sample_rate: int = 0
    channels: int = 0
    kind: MediaKind = field(init=False, compare=False)  # stored: asked for with every unit

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", self.codec.kind)
