"""``mp4a`` with ``esds``: AAC (ISO 14496-14 §5.6, descriptors of ISO 14496-1 §7.2.6)."""

from vms.format.errors import FormatError
from vms.format.mp4.boxes import full_box, require
from vms.format.mp4.sample_entries.description import Description, audio_entry, read_audio_entry
from vms.media import Codec, Track

_ES, _DECODER_CONFIG, _DECODER_SPECIFIC, _SL_CONFIG = 3, 4, 5, 6
_MPEG4_AUDIO = 0x40
_AUDIO_STREAM = 0x15


def build(track: Track) -> bytes:
    """The sample entry of an AAC track; FormatError without its AudioSpecificConfig."""
    if not track.parameter_sets:
        raise FormatError(f"AAC track {track.id}: no AudioSpecificConfig")
    specific = _descriptor(_DECODER_SPECIFIC, track.parameter_sets[0])
    # objectTypeIndication, streamType, bufferSizeDB and both bit rates 0: not known beforehand
    config = _descriptor(_DECODER_CONFIG, bytes([_MPEG4_AUDIO, _AUDIO_STREAM]) + bytes(11) + specific)
    stream = _descriptor(_ES, bytes(3) + config + _descriptor(_SL_CONFIG, b"\2"))
    return audio_entry(b"mp4a", track, full_box(b"esds", 0, 0, stream))


def parse(kind: bytes, payload: memoryview) -> Description:
    """Read what `build` wrote."""
    channels, sample_rate, boxes = read_audio_entry(payload)
    stream = _content(require(boxes, b"esds")[4:], _ES)
    config = _content(stream[3:], _DECODER_CONFIG)
    if not len(config) or config[0] != _MPEG4_AUDIO:
        raise FormatError("esds: not MPEG-4 audio")
    specific = bytes(_content(config[13:], _DECODER_SPECIFIC))
    return Description(Codec.AAC, (specific,), sample_rate=sample_rate, channels=channels)


def _descriptor(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size >= 1 << 28:
        raise FormatError(f"esds: a descriptor of {size} bytes")
    # Always 4 bytes of length, as other writers do: some players read nothing else
    length = bytes([0x80 | size >> 21 & 0x7F, 0x80 | size >> 14 & 0x7F, 0x80 | size >> 7 & 0x7F, size & 0x7F])
    return bytes([tag]) + length + content


def _content(data: memoryview, tag: int) -> memoryview:
    if not len(data) or data[0] != tag:
        raise FormatError(f"esds: no descriptor of tag {tag}")
    size, position = 0, 1
    for _ in range(4):
        if position >= len(data):
            break
        byte = data[position]
        size = size << 7 | byte & 0x7F
        position += 1
        if not byte & 0x80:
            break
    if position + size > len(data):
        raise FormatError(f"esds: descriptor of tag {tag} reaches beyond its end")
    return data[position : position + size]
