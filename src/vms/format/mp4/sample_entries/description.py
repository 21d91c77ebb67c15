"""What all sample entries share: the fields before the codec's own box (ISO 14496-12 §12.1.3, §12.2.3)."""

from dataclasses import dataclass
from struct import Struct

from vms.format.errors import FormatError
from vms.format.mp4.boxes import box, unpack
from vms.media import Codec, Track

# reserved, data_reference_index, 16 bytes of zeros, width, height, 72 dpi twice, zero, frame_count 1,
# compressorname, depth 24, -1
_VISUAL = Struct(">6xH16xHHII4xH32xHh")
# reserved, data_reference_index, version 0 and zeros, channelcount, samplesize, zeros, samplerate 16.16
_AUDIO = Struct(">6xHH6xHH4xI")
_72_DPI = 0x00480000


@dataclass(frozen=True, slots=True)
class Description:
    """A sample entry as read. sample_rate: Hz, 0 where its 16 bits cannot say it."""

    codec: Codec
    parameter_sets: tuple[bytes, ...] = ()
    in_band: bool = False
    sample_rate: int = 0
    channels: int = 0


def visual_entry(kind: bytes, track: Track, *boxes: bytes) -> bytes:
    """A VisualSampleEntry with the codec's own `boxes`."""
    if not (0 < track.width <= 0xFFFF and 0 < track.height <= 0xFFFF):
        raise FormatError(f"a picture of {track.width}×{track.height} has no place in an MP4")
    return box(kind, _VISUAL.pack(1, track.width, track.height, _72_DPI, _72_DPI, 1, 24, -1), *boxes)


def visual_boxes(payload: memoryview) -> memoryview:
    """The boxes within a VisualSampleEntry."""
    return payload[_VISUAL.size :]


def audio_entry(kind: bytes, track: Track, *boxes: bytes) -> bytes:
    """An AudioSampleEntry with the codec's own `boxes`."""
    rate = track.clock_rate << 16 if track.clock_rate <= 0xFFFF else 0
    return box(kind, _AUDIO.pack(1, 0, track.channels, 16, rate), *boxes)


def read_audio_entry(payload: memoryview) -> tuple[int, int, memoryview]:
    """Channels, sample rate and the boxes within an AudioSampleEntry of version 0."""
    _, version, channels, _, rate = unpack(_AUDIO, payload, 0, "AudioSampleEntry")
    if version != 0:
        raise FormatError(f"AudioSampleEntry of version {version}; recordings have version 0")
    return channels, rate >> 16, payload[_AUDIO.size :]
