"""One viewer between two sources whose walks overlap: what of either reaches it."""

import pytest
from tests.stream.scripted_stream import CAMERA
from tests.stream.test_stream_nonces import Numbered
from tests.stream.test_stream_viewer import ConnectedPeer

from vms.common.clock import ManualClock
from vms.stream.webrtc.viewer import Viewer, ViewerMedia
from vms.wire import rtp
from vms.wire.webrtc.frame import Frame, HeaderFormat

VIDEO_SSRC, AUDIO_SSRC = 7, 8


class Between:
    """A viewer that has had a key picture of `old`, and `new` with a key picture to begin with."""

    def __init__(self) -> None:
        self.clock, self.peer = ManualClock(), ConnectedPeer()
        self.port = self.peer.port
        self.old, self.new = Numbered(0), Numbered(5000)
        media = ViewerMedia(
            HeaderFormat(VIDEO_SSRC, 96),
            90_000,
            "porch",
            audio=HeaderFormat(AUDIO_SSRC, 0),
            audio_clock_rate=8000,
        )
        self.viewer = Viewer(
            "s", CAMERA, self.peer, media, source=self.old, clock=self.clock, on_closed=lambda *_: None
        )
        self.viewer.connected()
        self.deliver(self.old, 1, key=True)

    def deliver(self, source: Numbered, packets: int, *, key: bool = False) -> None:
        self.clock.advance(0.04)
        now_ns = self.clock.monotonic_ns()
        self.viewer.deliver(source.frame(packets, now_ns, key=key), now_ns, source)

    def deliver_sound(self, source: Numbered) -> None:
        sound = Frame(
            [b"sound"],
            0,
            source.ticks,
            video=False,
            key=True,
            marker=False,
            capture_ns=self.clock.wall_ns(),
            capture_ntp=0,
            pushed_ns=0,
        )
        self.viewer.deliver(sound, self.clock.monotonic_ns(), source)

    def sent(self, ssrc: int) -> list[int]:
        headers = [rtp.parse(header) for header in self.port.packets]
        return [header.sequence_number for header in headers if header.ssrc == ssrc]


@pytest.fixture
def between() -> Between:
    return Between()


def test_a_walk_of_the_source_that_was_left_brings_nothing_more(between: Between) -> None:
    between.viewer.switch(between.new)
    between.deliver(between.new, 2, key=True)
    before = len(between.port.packets)
    between.deliver(between.old, 3)
    between.deliver(between.old, 3, key=True)
    between.deliver_sound(between.old)
    assert len(between.port.packets) == before
    between.deliver(between.new, 2)
    assert between.sent(VIDEO_SSRC) == list(range(5))


def test_sound_that_was_not_negotiated_is_left_out_from_the_switch_on(between: Between) -> None:
    between.viewer.switch(between.new, sound=False)
    between.deliver_sound(between.old)
    between.deliver_sound(between.new)
    assert len(between.sent(AUDIO_SSRC)) == 1
    between.deliver(between.new, 1, key=True)
    between.deliver_sound(between.new)
    assert len(between.sent(AUDIO_SSRC)) == 1
    between.viewer.switch(between.old)
    between.deliver(between.old, 1, key=True)
    between.deliver_sound(between.old)
    assert len(between.sent(AUDIO_SSRC)) == 2


def test_a_picture_of_which_a_part_was_sent_is_finished_and_what_waited_behind_it_is_superseded(
    between: Between,
) -> None:
    between.port.has_room(1)
    between.deliver(between.old, 8)  # two packets a send
    between.deliver(between.old, 8)
    between.new.frame(3, between.clock.monotonic_ns(), key=True)
    between.viewer.switch(between.new)
    assert between.new.pumped
    between.port.has_room(1000)
    assert not between.viewer.drain(1 << 20, between.clock.monotonic_ns())
    between.deliver(between.new, 2)
    assert between.sent(VIDEO_SSRC) == list(range(1 + 8 + 3 + 2))
