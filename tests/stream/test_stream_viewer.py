"""A viewer whose socket is full: it waits, then skips, and never costs others anything."""

from itertools import pairwise

import pytest
from tests.stream.scripted_stream import CAMERA, Camera, h264_pictures

from vms.common.clock import ManualClock
from vms.stream.webrtc.packetizer import TrackPacketizer
from vms.stream.webrtc.viewer import QUEUE_MAX_FRAMES, RESENDS_PER_SECOND, Viewer, ViewerMedia
from vms.wire import rtcp, rtp
from vms.wire.webrtc.frame import Frame, HeaderFormat
from vms.wire.webrtc.peer import CloseReason
from vms.wire.webrtc.srtp import SrtpKeys, SrtpProfile, SrtpSession

SSRC = 7


class FullPort:
    """A socket that has room for a number of sends."""

    def __init__(self) -> None:
        self.room = 1000
        self.blocked = False
        self.packets: list[bytes] = []

    def send(self, datagram: bytes, to: object) -> bool:
        return True

    def send_segments(self, buffers: list[bytes], count: int, size: int, total: int, to: object) -> bool:
        if self.room == 0:
            self.blocked = True
            return False
        self.room -= 1
        self.packets += buffers[::2]
        return True

    def has_room(self, sends: int) -> None:
        self.room, self.blocked = sends, False

    @property
    def sequence_numbers(self) -> list[int]:
        return [rtp.parse(header).sequence_number for header in self.packets]


class ConnectedPeer:
    """A connection that stands, on a port of the test's own."""

    def __init__(self) -> None:
        self.port = FullPort()
        self.path = (self.port, ("127.0.0.1", 9))
        keys = SrtpKeys.of_server(SrtpProfile.AEAD_AES_128_GCM, bytes(56))
        self.srtp = SrtpSession(keys)
        self.listener = None
        self.reports: list[list[rtcp.Packet]] = []

    def send_rtcp(self, packets: list[rtcp.Packet]) -> None:
        self.reports.append(packets)


class Source:
    """A stream without a walk: the test delivers."""

    def __init__(self) -> None:
        self.gop: list[Frame] = []
        self.pumped = 0
        self.key_requests = 0
        self.next_video_index = 0

    def add(self, viewer: Viewer) -> None: ...

    def remove(self, viewer: Viewer) -> None: ...

    def pump(self, viewer: Viewer) -> None:
        self.pumped += 1

    def burst(self) -> list[Frame]:
        return self.gop

    def request_key(self) -> None:
        self.key_requests += 1


class Stage:
    def __init__(self) -> None:
        self.peer, self.source, self.clock = ConnectedPeer(), Source(), ManualClock()
        self.port = self.peer.port
        media = ViewerMedia(HeaderFormat(SSRC, 96), 90_000, "porch")
        self.viewer = Viewer(
            "s", CAMERA, self.peer, media, source=self.source, clock=self.clock, on_closed=lambda *_: None
        )
        self.camera = Camera(h264_pictures(60, gop=30))
        self.packetizer = TrackPacketizer(self.camera.track.codec, 90_000)

    def frame(self) -> Frame:
        (frame,) = self.packetizer.frames(self.camera.push(), self.clock.monotonic_ns())
        self.source.next_video_index = frame.index + len(frame.payloads)
        return frame

    def deliver(self, count: int = 1) -> None:
        for _ in range(count):
            self.clock.advance(0.04)
            self.viewer.deliver(self.frame(), self.clock.monotonic_ns(), self.source)

    def drain(self) -> bool:
        return self.viewer.drain(1 << 30, self.clock.monotonic_ns())


@pytest.fixture
def stage() -> Stage:
    stage = Stage()
    stage.viewer.connected()
    return stage


def test_pictures_that_met_a_full_socket_follow_in_order_when_it_has_room(stage: Stage) -> None:
    stage.deliver(3)
    stage.port.has_room(1)
    stage.deliver(5)
    assert stage.source.pumped >= 1
    assert stage.drain()
    stage.port.has_room(1000)
    assert not stage.drain()
    stage.deliver()
    numbers = stage.port.sequence_numbers
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert stage.viewer.counters.frames == 9
    assert stage.viewer.counters.frames_skipped == 0


def test_a_viewer_that_stays_full_skips_to_the_next_key_picture(stage: Stage) -> None:
    stage.deliver(2)
    stage.port.has_room(0)
    stage.deliver(QUEUE_MAX_FRAMES + 5)
    skipped = stage.viewer.counters.frames_skipped
    assert skipped > QUEUE_MAX_FRAMES
    stage.port.has_room(1000)
    stage.drain()
    before = len(stage.port.packets)
    while stage.camera.pushed % 30:
        stage.deliver()
    assert len(stage.port.packets) == before
    stage.deliver(2)
    assert len(stage.port.packets) > before


def test_a_burst_is_sent_in_pieces_and_what_comes_meanwhile_follows_it(stage: Stage) -> None:
    stage = Stage()
    stage.source.gop = [stage.frame() for _ in range(10)]
    stage.viewer.connected()
    stage.deliver(2)
    assert stage.port.packets == []
    rounds = 1
    while stage.viewer.drain(2000, stage.clock.monotonic_ns()):
        rounds += 1
    assert rounds > 3
    assert stage.viewer.counters.frames == 12


def test_a_picture_that_the_burst_holds_already_is_not_sent_again(stage: Stage) -> None:
    stage = Stage()
    frames = [stage.frame() for _ in range(5)]
    stage.source.gop = frames
    stage.viewer.connected()
    stage.drain()
    sent = len(stage.port.packets)
    for frame in frames[3:]:  # their walk had not reached this viewer when it joined
        stage.viewer.deliver(frame, stage.clock.monotonic_ns(), stage.source)
    assert len(stage.port.packets) == sent


def test_a_viewer_that_joins_where_no_burst_can_be_given_asks_for_a_key_picture(stage: Stage) -> None:
    assert stage.source.key_requests == 1
    stage.deliver(2)
    stage.viewer.feedback([rtcp.PictureLossIndication(1, SSRC)])
    assert stage.source.key_requests == 2
    assert stage.viewer.counters.key_requests_answered == 0


def test_key_requests_are_answered_once_a_second(stage: Stage) -> None:
    stage = Stage()
    stage.source.gop = [stage.frame() for _ in range(3)]
    stage.viewer.connected()
    stage.drain()
    request = [rtcp.PictureLossIndication(1, SSRC)]
    for _ in range(5):
        stage.viewer.feedback(request)
        stage.drain()
    assert stage.viewer.counters.key_requests_answered == 1
    stage.clock.advance(1)
    stage.viewer.feedback(request)
    stage.drain()
    assert stage.viewer.counters.key_requests_answered == 2
    stage.viewer.feedback([rtcp.PictureLossIndication(1, SSRC + 1)])
    assert stage.viewer.counters.key_requests == 6


def test_a_flood_of_nacks_is_answered_up_to_an_allowance_that_comes_back_with_time(stage: Stage) -> None:
    stage.deliver(5)
    (newest, *_) = stage.port.sequence_numbers[-1:]
    flood = [rtcp.Nack(1, SSRC, (newest,) * 400)] * 5
    stage.viewer.feedback(flood)
    assert stage.viewer.counters.resent == RESENDS_PER_SECOND
    stage.clock.advance(0.5)
    stage.viewer.feedback(flood)
    assert stage.viewer.counters.resent == RESENDS_PER_SECOND * 3 // 2


def test_nacks_for_packets_that_never_were_use_up_the_allowance_too(stage: Stage) -> None:
    stage.deliver(5)
    (newest,) = stage.port.sequence_numbers[-1:]
    stage.viewer.feedback([rtcp.Nack(1, SSRC, tuple(range(newest + 1, newest + 1 + RESENDS_PER_SECOND)))])
    stage.viewer.feedback([rtcp.Nack(1, SSRC, (newest,))])
    assert stage.viewer.counters.resent == 0


def test_reports_go_out_about_once_a_second_and_count_what_was_sent(stage: Stage) -> None:
    stage.deliver(60)
    reports = [packet for packets in stage.peer.reports for packet in packets]
    senders = [packet for packet in reports if isinstance(packet, rtcp.SenderReport)]
    assert 2 <= len(senders) <= 5
    assert senders[-1].packet_count > senders[0].packet_count
    assert all(1 << 31 <= later.ntp - earlier.ntp <= 7 << 30 for earlier, later in pairwise(senders))


def test_losses_are_taken_from_the_reports_about_this_stream(stage: Stage) -> None:
    stage.deliver()
    block = rtcp.ReportBlock(SSRC, 10, 42, 0, 0, 0, 0)
    stage.viewer.feedback([rtcp.ReceiverReport(1, (block, block._replace(ssrc=9, packets_lost=999)))])
    assert stage.viewer.counters.packets_lost == 42


def test_nothing_is_sent_after_the_end(stage: Stage) -> None:
    stage.deliver()
    sent = len(stage.port.packets)
    stage.viewer.closed(CloseReason.LEFT)
    stage.deliver(3)
    stage.viewer.feedback([rtcp.PictureLossIndication(1, SSRC)])
    assert not stage.drain()
    assert len(stage.port.packets) == sent


def test_a_viewer_that_skips_asks_until_a_key_picture_comes(stage: Stage) -> None:
    stage.deliver()
    stage.viewer.skip_to_key()
    asked = stage.source.key_requests
    stage.deliver(29)
    assert stage.source.key_requests == asked + 1
    stage.deliver(30)
    assert stage.source.key_requests == asked + 1, "it has its key picture"


def test_a_viewer_asks_its_next_source_again_and_answers_its_own_request_before_its_first_picture(
    stage: Stage,
) -> None:
    stage.viewer.feedback([rtcp.PictureLossIndication(1, SSRC)])
    assert stage.source.key_requests == 2
    following = Source()
    stage.viewer.switch(following)
    stage.frame()
    for _ in range(29):
        stage.clock.advance(0.04)
        stage.viewer.deliver(stage.frame(), stage.clock.monotonic_ns(), following)
    assert following.key_requests == 2
    assert stage.viewer.following is following


def test_a_switch_while_a_picture_is_half_sent_goes_on_after_the_key_picture(stage: Stage) -> None:
    stage.deliver(2)
    stage.port.has_room(0)
    stage.deliver()
    following = Source()
    stage.viewer.switch(following)
    other = Stage()
    frames = [other.frame() for _ in range(3)]
    now_ns = stage.clock.monotonic_ns()
    stage.viewer.deliver(frames[0], now_ns, following)
    stage.port.has_room(1000)
    stage.drain()
    assert stage.viewer.counters.frames == 4
    for frame in frames[1:]:
        stage.viewer.deliver(frame, now_ns, following)
    assert stage.viewer.counters.frames == 6


def test_a_key_picture_that_meets_a_full_queue_takes_its_place(stage: Stage) -> None:
    stage.port.has_room(0)
    stage.deliver(QUEUE_MAX_FRAMES)
    assert stage.viewer.counters.frames_skipped == 0
    while stage.camera.pushed % 30:
        stage.frame()
    stage.deliver()
    assert stage.viewer.counters.frames_skipped == QUEUE_MAX_FRAMES
    stage.port.has_room(1000)
    stage.drain()
    before = stage.viewer.counters.frames
    stage.deliver(2)
    assert stage.viewer.counters.frames == before + 2
