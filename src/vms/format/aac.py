"""AAC as far as recording and sending need it: the AudioSpecificConfig (ISO 14496-3 §1.6.2)."""

from dataclasses import dataclass

from vms.format.bits import BitReader
from vms.format.errors import FormatError

SAMPLE_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_CHANNELS = (0, 1, 2, 3, 4, 5, 6, 8)
_SBR = 5
_PS = 29
_GENERAL_AUDIO = frozenset({1, 2, 3, 4, 6, 7})


@dataclass(frozen=True, slots=True)
class AudioSpecificConfig:
    """object_type: of the core codec (2: AAC-LC). sample_rate: of the core, Hz; SBR may double it.
    channels: 0 where a program config element says it. frame_length: samples of the core a frame."""

    object_type: int
    sample_rate: int
    channels: int
    frame_length: int
    sbr: bool


def parse_config(config: bytes) -> AudioSpecificConfig:
    """Read an AudioSpecificConfig. Raises FormatError."""
    reader = BitReader(config, "AAC AudioSpecificConfig")
    object_type = _read_object_type(reader)
    sample_rate = _read_sample_rate(reader)
    channel_configuration = reader.bits(4)
    if channel_configuration >= len(_CHANNELS):
        raise FormatError(
            f"AAC AudioSpecificConfig: channelConfiguration {channel_configuration} is reserved"
        )
    sbr = object_type in (_SBR, _PS)
    if sbr:
        _read_sample_rate(reader)
        object_type = _read_object_type(reader)
    short = reader.flag() if object_type in _GENERAL_AUDIO and reader.left else False
    return AudioSpecificConfig(
        object_type, sample_rate, _CHANNELS[channel_configuration], 960 if short else 1024, sbr
    )


def build_config(sample_rate: int, channels: int) -> bytes:
    """The AudioSpecificConfig of plain AAC-LC; FormatError for what its tables do not have."""
    if sample_rate not in SAMPLE_RATES or channels not in _CHANNELS[1:]:
        raise FormatError(f"AAC-LC has no {channels} channels at {sample_rate} Hz")
    value = 2 << 11 | SAMPLE_RATES.index(sample_rate) << 7 | _CHANNELS.index(channels) << 3
    return value.to_bytes(2)


def _read_object_type(reader: BitReader) -> int:
    object_type = reader.bits(5)
    return 32 + reader.bits(6) if object_type == 31 else object_type


def _read_sample_rate(reader: BitReader) -> int:
    index = reader.bits(4)
    if index == 15:
        rate = reader.bits(24)
        if rate:
            return rate
    elif index < len(SAMPLE_RATES):
        return SAMPLE_RATES[index]
    raise FormatError("AAC AudioSpecificConfig: no such sample rate")
