"""``Opus`` with ``dOps`` (Encapsulation of Opus in ISO Base Media File Format, §4.3)."""

from struct import Struct

from vms.format.errors import FormatError
from vms.format.mp4.boxes import box, require, unpack
from vms.format.mp4.sample_entries.description import Description, audio_entry, read_audio_entry
from vms.media import Codec, Track

# Version, OutputChannelCount, PreSkip, InputSampleRate, OutputGain, ChannelMappingFamily
_SPECIFIC = Struct(">BBHIhB")


def build(track: Track) -> bytes:
    """The sample entry of an Opus track of one or two channels.

    PreSkip is 0: a recording begins in the middle of a stream, where there is no priming to skip.
    """
    if track.channels > 2:
        raise FormatError(f"Opus track {track.id}: {track.channels} channels; RTP has at most 2 (RFC 7587)")
    specific = _SPECIFIC.pack(0, track.channels, 0, track.sample_rate, 0, 0)
    return audio_entry(b"Opus", track, box(b"dOps", specific))


def parse(kind: bytes, payload: memoryview) -> Description:
    """Read what `build` wrote."""
    _, _, boxes = read_audio_entry(payload)
    _, channels, _, sample_rate, _, _ = unpack(_SPECIFIC, require(boxes, b"dOps"), 0, "dOps")
    return Description(Codec.OPUS, sample_rate=sample_rate, channels=channels)
