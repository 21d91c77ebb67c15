"""What a PES packet holds, as access units: pictures with lengths instead of start codes, one audio frame each.

Belongs here: payloads of codecs. Does not: packets and their order (demuxer).
"""

from collections.abc import Iterator
from typing import NamedTuple

from vms.format import aac, h264, h265, nal
from vms.format.errors import FormatError
from vms.format.mpegts.adts import AdtsReader
from vms.format.mpegts.tables import CLOCK_RATE, Elementary
from vms.media import Codec

MAX_NALS = 4096
"""Of one picture: far more than a standard lets it have, so that nobody makes us take millions apart."""


class TsFrame(NamedTuple):
    """One picture or audio frame.

    pid: of its line. data: as `AccessUnit` has it. dts, pts: ticks of 90 kHz, which do not wrap. key: decoding can begin
    here. discontinuity: something is missing before it. sample_rate, channels: of audio, else 0.
    parameter_sets: those in the picture, or AAC's configuration.
    """

    pid: int
    codec: Codec
    data: bytes
    dts: int
    pts: int
    key: bool
    discontinuity: bool
    parameter_sets: tuple[bytes, ...] = ()
    sample_rate: int = 0
    channels: int = 0


def frames_of(
    line: Elementary, payload: bytes, dts: int, pts: int, *, discontinuity: bool, adts: AdtsReader
) -> Iterator[TsFrame]:
    """The frames that one PES packet of a line completes. adts: of that line. Raises FormatError."""
    match line.codec:
        case Codec.H264:
            yield _picture(line, payload, dts, pts, discontinuity)
        case Codec.H265:
            yield _picture(line, payload, dts, pts, discontinuity)
        case Codec.AAC:
            yield from _aac(line, payload, pts, discontinuity, adts)
        case Codec.OPUS:
            yield from _opus(line, payload, pts, discontinuity)
        case _:
            return


def _picture(line: Elementary, payload: bytes, dts: int, pts: int, discontinuity: bool) -> TsFrame:
    assert line.codec is not None
    codec = h264 if line.codec is Codec.H264 else h265
    kinds = (h264.SPS, h264.PPS) if line.codec is Codec.H264 else (h265.VPS, h265.SPS, h265.PPS)
    if payload.count(b"\0\0\1") > MAX_NALS:
        raise FormatError(f"MPEG-TS: a picture of more than {MAX_NALS} NAL units")
    data = nal.from_annex_b(payload)
    nals = [bytes(each) for each in nal.split(data)]
    kept = [each for each in nals if codec.nal_type(each) != codec.ACCESS_UNIT_DELIMITER]
    if not kept:
        raise FormatError("MPEG-TS: a picture of nothing but its delimiter")
    sets = tuple(each for each in kept if codec.nal_type(each) in kinds)
    data = nal.join(kept)
    return TsFrame(line.pid, line.codec, data, dts, pts, codec.is_key(data), discontinuity, sets)


def _aac(
    line: Elementary, payload: bytes, pts: int, discontinuity: bool, adts: AdtsReader
) -> Iterator[TsFrame]:
    for frame, at in adts.read(payload, pts, lost=discontinuity):
        sets = (aac.build_config(frame.sample_rate, frame.channels),) if frame.channels else ()
        yield TsFrame(
            line.pid,
            Codec.AAC,
            frame.data,
            at,
            at,
            True,
            discontinuity,
            sets,
            frame.sample_rate,
            frame.channels,
        )
        discontinuity = False


def _opus(line: Elementary, payload: bytes, pts: int, discontinuity: bool) -> Iterator[TsFrame]:
    """Control headers (ETSI TS 102 366 Annex for Opus, as FFmpeg writes them): 0x3FF in 11 bits, flags, the size."""
    at = 0
    while at < len(payload):
        head = int.from_bytes(payload[at : at + 2])
        if head >> 5 != 0x3FF:
            raise FormatError(f"MPEG-TS: no Opus frame begins at byte {at}")
        at, size = at + 2, 0
        while at < len(payload) and payload[at] == 0xFF:
            size, at = size + 255, at + 1
        if at >= len(payload):
            raise FormatError("MPEG-TS: an Opus frame ends in its header")
        size, at = size + payload[at], at + 1
        at += 2 * bool(head & 0x10) + 2 * bool(head & 0x08)  # trims
        if head & 0x04:
            at += 1 + (payload[at] if at < len(payload) else 0)
        data = payload[at : at + size]
        if not data or len(data) != size:
            raise FormatError("MPEG-TS: an Opus frame reaches beyond its packet")
        yield TsFrame(line.pid, Codec.OPUS, data, pts, pts, True, discontinuity, (), 48_000, line.channels)
        at, discontinuity = at + size, False
        pts += _opus_ticks(data)


def _opus_ticks(data: bytes) -> int:
    """How long an Opus packet lasts (RFC 6716 §3.1), in ticks of 90 kHz."""
    configuration, code = data[0] >> 3, data[0] & 3
    if configuration < 12:
        samples = (480, 960, 1_920, 2_880)[configuration & 3]
    elif configuration < 16:
        samples = (480, 960)[configuration & 1]
    else:
        samples = (120, 240, 480, 960)[configuration & 3]
    count = 1 if code == 0 else 2 if code < 3 else data[1] & 0x3F if len(data) > 1 else 0
    return samples * count * CLOCK_RATE // 48_000
