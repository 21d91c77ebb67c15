"""Sample entries: how an MP4 file says what the samples of a track are (ISO 14496-12 §8.5.2).

A module a codec, each with ``build`` and ``parse``; this one knows them all.
"""

from collections.abc import Callable
from dataclasses import replace

from vms.format.codecs import audio_track, video_track
from vms.format.errors import FormatError
from vms.format.mp4.sample_entries import aac, g711, h264, h265, opus
from vms.format.mp4.sample_entries.description import Description
from vms.media import Codec, MediaKind, Track

MIN_CLOCK_RATE, MAX_CLOCK_RATE = 1_000, 1_000_000

_PARSERS: dict[bytes, Callable[[bytes, memoryview], Description]] = {
    b"avc1": h264.parse,
    b"avc3": h264.parse,
    b"hvc1": h265.parse,
    b"hev1": h265.parse,
    b"mp4a": aac.parse,
    b"ulaw": g711.parse,
    b"alaw": g711.parse,
    b"Opus": opus.parse,
}


def build(track: Track, *, in_band: bool = False) -> bytes:
    """The sample entry of `track`. FormatError when its parameter sets cannot be written.

    in_band: the samples carry parameter sets, too (``avc3``, ``hev1``; ISO 14496-15 §5.4.2, §8.4.1).
    """
    _check_clock_rate(track.clock_rate)
    match track.codec:
        case Codec.H264:
            return h264.build(track, in_band=in_band)
        case Codec.H265:
            return h265.build(track, in_band=in_band)
        case Codec.AAC:
            return aac.build(track)
        case Codec.OPUS:
            return opus.build(track)
        case Codec.PCMU | Codec.PCMA:
            return g711.build(track)


def parse(kind: bytes, payload: memoryview, track_id: int, clock_rate: int) -> tuple[Track, bool]:
    """The track that a sample entry describes, and whether its samples carry parameter sets.

    Raises FormatError, also for codecs that recordings never have.
    """
    parser = _PARSERS.get(kind)
    if parser is None:
        raise FormatError(f"no recording has sample entries of type {kind!r}")
    _check_clock_rate(clock_rate)
    entry = parser(kind, payload)
    if entry.codec.kind is MediaKind.VIDEO:
        track = video_track(track_id, entry.codec, entry.parameter_sets)
    else:
        track = audio_track(
            track_id,
            entry.codec,
            sample_rate=entry.sample_rate or clock_rate,
            channels=entry.channels,
            parameter_sets=entry.parameter_sets,
        )
    return replace(track, clock_rate=clock_rate), entry.in_band


def _check_clock_rate(clock_rate: int) -> None:
    if not MIN_CLOCK_RATE <= clock_rate <= MAX_CLOCK_RATE:
        raise FormatError(f"a clock rate of {clock_rate} Hz cannot be recorded")
