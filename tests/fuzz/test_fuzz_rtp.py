"""Packets that were bent at random, through the headers, the reports and every depayloader."""

import random
import time

import pytest
from tests.wire.rtp_packets import (
    h264_aggregate,
    h264_fragments,
    h265_aggregate,
    h265_fragments,
    rtp,
)

from vms.format import nal
from vms.media import Codec, MediaKind
from vms.wire import rtcp
from vms.wire.depayload.picture import MAX_PICTURE_COST
from vms.wire.errors import ProtocolError
from vms.wire.rtp import parse, parse_extensions
from vms.wire.rtsp.media_line import MediaLine
from vms.wire.rtsp.stream import RtpStream

SECONDS = 1.0
IDR = b"\x65\x88" + bytes(3000)
H265_IDR = b"\x26\x01\xaf" + bytes(3000)
SPS = bytes.fromhex("6764001facd940c01268400000")
H265_SETS = [
    bytes.fromhex("40010c01ffff0408000003009808000003"),
    bytes.fromhex("420101040800000300980800000300003f9000a0402e3e24a5"),
    bytes.fromhex("4401c07030603120"),
]
AAC = {"config": "1190", "sizelength": "13", "indexlength": "3", "indexdeltalength": "3"}
PAYLOADS = {
    Codec.H264: [
        b"\x09\xf0",
        h264_aggregate(SPS, b"\x68\xcb\x8c\xb2"),
        *h264_fragments(IDR, 700),
        b"\x41\x9a" * 90,
    ],
    Codec.H265: [h265_aggregate(*H265_SETS), *h265_fragments(H265_IDR, 700), b"\x02\x01\xd0" + bytes(90)],
    Codec.AAC: [b"\0\x20\x00\x50\x00\x50" + bytes(20), b"\0\x10\x20\x00" + bytes(700)],
    Codec.OPUS: [bytes(80)],
    Codec.PCMA: [bytes(160)],
}
REPORTS = [
    rtcp.SenderReport(1, 2**40, 3, 4, 5, (rtcp.ReportBlock(1, 2, 3, 4, 5, 6, 7),)),
    rtcp.SourceDescription(1, "camera"),
    rtcp.Nack(1, 2, (3, 4, 30)),
    rtcp.ReceiverReferenceTime(1, 2**50),
    rtcp.DelaySinceLastReference(1, 2, 3, 4),
    rtcp.FullIntraRequest(1, ((2, 3),)),
    rtcp.Bye((1,)),
]


class Judge:
    """Checks that what a depayloader delivers is consistent."""

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self.units = 0

    def access_unit(self, data: bytes, rtp_timestamp: int, key: bool, lost: bool, arrival_ns: int) -> None:
        self.units += 1
        assert data
        if self.codec.kind is MediaKind.VIDEO:
            assert sum(4 + len(unit) for unit in nal.split(data)) == len(data)

    def parameter_sets(self, sets: tuple[bytes, ...]) -> None:
        assert sum(map(len, sets)) < 4 << 20

    def sender_report(self, ntp_ns: int, rtp_timestamp: int, arrival_ns: int) -> None:
        pass


def bend(packet: bytes, rng: random.Random) -> bytes:
    bent = bytearray(packet)
    for _ in range(rng.choice([0, 0, 0, 1, 2, 5])):
        at = rng.randrange(len(bent) + 1)
        match rng.randrange(3):
            case 0:
                bent[at : at + 1] = rng.randbytes(1)
            case 1:
                del bent[at : at + rng.randint(1, 40)]
            case _:
                bent[at:at] = rng.randbytes(rng.randint(1, 5))
    return bytes(bent)


@pytest.mark.parametrize("codec", list(PAYLOADS))
def test_any_packets_are_taken_or_counted(codec: Codec) -> None:
    rng = random.Random(20261123)
    judge = Judge(codec)
    line = MediaLine(0, codec.kind, codec, codec.value, 96, 48_000, 1, "", format_parameters=AAC)
    stream = RtpStream(line, judge)
    until = time.monotonic() + SECONDS
    rounds = sequence_number = timestamp = 0
    while time.monotonic() < until or rounds < 500:  # enough, however slow the machine is
        rounds += 1
        timestamp += rng.choice([3600, 3600, 3600, 0, -3600, rng.getrandbits(32)])
        for payload in PAYLOADS[codec]:
            sequence_number += rng.choice([1] * 20 + [0, 2, 3, -5, 5000])
            marker = rng.random() < 0.3
            packet = bend(rtp(payload, sequence_number, timestamp, marker=marker), rng)
            stream.irregular(packet, 0, len(packet), 0)
        assert getattr(stream.depayloader, "_cost", 0) <= MAX_PICTURE_COST
    stream.depayloader.flush()
    assert judge.units > 50
    assert judge.units == stream.depayloader.units


def test_any_header_is_read_or_refused() -> None:
    rng = random.Random(20261123)
    head = bytes.fromhex("b2e00001 00000002 00000003 11111111 22222222 bede0001 10aa0000".replace(" ", ""))
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        packet = bend(head + bytes(20) + b"\0\0\3", rng)
        try:
            parsed = parse(packet)
        except ProtocolError:
            continue
        assert 12 <= parsed.payload_start <= parsed.payload_end <= len(packet)
        parse_extensions(parsed.extension_profile, parsed.extension)


def test_any_report_is_read_or_refused() -> None:
    rng = random.Random(20261123)
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        data = bend(rtcp.pack(rng.sample(REPORTS, rng.randint(1, 4))), rng)
        try:
            packets = rtcp.parse(data)
        except ProtocolError:
            continue
        assert len(packets) <= len(data)
        rtcp.pack(packets)
