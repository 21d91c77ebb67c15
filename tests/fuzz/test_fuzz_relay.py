"""What a relay may be sent that is no relay's, or a broken one's: notices, extensions, whole sessions' packets."""

import random
import time
from dataclasses import replace

import pytest
from tests.relay.material import AUDIO, VIDEO, Recorder, picture, sound

from vms.common.clock import ManualClock
from vms.media import Gap, GapReason, Hub, Track
from vms.relay import notices, unit_extension
from vms.relay.receiver import StreamReceiver
from vms.relay.relay_feed import RelayFeed, attributes
from vms.wire.errors import ProtocolError
from vms.wire.rtsp import server_description
from vms.wire.rtsp.media_line import media_lines
from vms.wire.rtsp.server_feed import RtpRun
from vms.wire.rtsp.stream import RtpStream
from vms.wire.sdp import MediaDescription, SessionDescription

SECONDS = 1.0
GAP = Gap(1_700_000_000_000_000_000, None, GapReason.CAMERA_LOST, "the camera stopped answering")


def bend(packet: bytes, rng: random.Random) -> bytes:
    bent = bytearray(packet)
    for _ in range(rng.choice([0, 0, 1, 2, 5])):
        at = rng.randrange(len(bent) + 1)
        match rng.randrange(3):
            case 0:
                bent[at : at + 1] = rng.randbytes(1)
            case 1:
                del bent[at : at + rng.randint(1, 40)]
            case _:
                bent[at:at] = rng.randbytes(rng.randint(1, 5))
    return bytes(bent)


def test_any_notice_is_read_or_refused() -> None:
    rng = random.Random(20261123)
    track = notices.pack_track(VIDEO, 7)
    assert track is not None
    until = time.monotonic() + SECONDS
    read = tried = 0
    while time.monotonic() < until or tried < 2000:  # enough, however slow the machine is
        tried += 1
        packet = rng.choice([notices.pack_gap(GAP, 7), track])
        packet = packet._replace(data=bend(packet.data, rng), subtype=rng.randrange(32))
        for parse, kind in ((notices.parse_gap, Gap), (notices.parse_track, Track)):
            try:
                assert isinstance(parse(packet), kind)
                read += 1
            except ProtocolError:
                continue
    assert read > 100


def test_any_track_attribute_is_read_or_refused() -> None:
    rng = random.Random(20261123)
    text = notices.track_attribute(VIDEO)
    until = time.monotonic() + SECONDS / 2
    while time.monotonic() < until:
        bent = bend(text.encode(), rng).decode("latin-1")
        try:
            assert isinstance(notices.parse_track_attribute(bent), Track)
        except ProtocolError:
            continue


def test_any_extension_is_read_or_passed_over() -> None:
    rng = random.Random(20261123)
    parser = unit_extension.UnitTimesParser(
        MediaDescription("video", 0, "RTP/AVP", ["96"], attributes=list(unit_extension.attributes()))
    )
    block = unit_extension.pack(picture(3, key=True, discontinuity=True))
    until = time.monotonic() + SECONDS / 2
    read = tried = 0
    while time.monotonic() < until or tried < 2000:  # enough, however slow the machine is
        tried += 1
        times = parser.parse(rng.choice([0xBEDE, 0x1000, 0xABAC]), bend(block[4:], rng))
        read += times is not None
    assert read > 100


@pytest.mark.parametrize("seed", range(3))
def test_any_packets_of_a_session_leave_units_that_are_consistent_or_end_it(seed: int) -> None:
    """Packets are bent, left out and doubled; nothing but a VmsError may come out, and nothing half."""
    rng = random.Random(seed)
    until = time.monotonic() + SECONDS
    sessions = 0
    while time.monotonic() < until or sessions <= 3:  # enough, however slow the machine is
        sessions += 1
        _one_session(rng)


class Packets:
    """A sink for a feed: what it sends, packet by packet, as (line, whether RTCP, packet)."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, bool, bytes]] = []

    def send(self, run: RtpRun) -> None:
        framed = run.interleaved(0)
        position = 0
        while position < len(framed):
            end = position + 4 + int.from_bytes(framed[position + 2 : position + 4])
            self.sent.append((run.line, framed[position + 1] == 1, framed[position + 4 : end]))
            position = end

    def tell(self, line: int, packet: bytes) -> None:
        self.sent.append((line, True, packet))


def _one_session(rng: random.Random) -> None:
    source, received = Hub("source"), Hub("received")
    source.announce([VIDEO, AUDIO])
    feed = RelayFeed(source, ManualClock())
    text = server_description.describe(feed.lines, extra=attributes)
    media = media_lines(SessionDescription.parse(text), "rtsp://relay/camera")
    packets, recorder = Packets(), Recorder()
    feed.start(packets)
    original = {}
    track = VIDEO
    for number in range(30):
        if number == 15:
            track = replace(VIDEO, version=1, max_reorder=2)
            source.announce([track, AUDIO])
        if number == 20:
            source.gap(GAP)
        unit = picture(number, key=number % 10 == 0, size=rng.choice([50, 3000, 130_000]), track=track)
        for each in (unit, sound(number)):
            original[each.track.id, each.dts] = each
            source.push(each)
    received.attach(recorder)
    receiver = StreamReceiver(received, media, resumes=False)
    streams = [
        RtpStream(line, each, each, trust_markers=True)
        for line, each in zip(media, receiver.lines, strict=True)
    ]
    try:
        for line, is_report, packet in packets.sent:
            stream = streams[line]
            if rng.random() < 0.05:
                continue
            bent = bend(packet, rng) if rng.random() < 0.03 else packet
            if is_report:
                stream.rtcp(bent, 0)
            else:
                stream.irregular(bent, 0, len(bent), 0)
    except ProtocolError:
        return
    assert recorder.units
    whole = sum(
        unit.data == original[unit.track.id, unit.dts].data
        for unit in recorder.units
        if (unit.track.id, unit.dts) in original
    )
    assert whole > len(recorder.units) // 2
