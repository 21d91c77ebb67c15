"""What viewers say of what they receive, and what is done about it: reports, bit rates, retransmissions, key pictures."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from tests.stream.scripted_stream import CAMERA, FPS, Camera, Watcher, h264_pictures

from vms.common.clock import NS, SystemClock
from vms.common.errors import NotFound
from vms.common.stream_name import StreamName
from vms.media import Codec
from vms.stream import StreamService
from vms.stream.webrtc.egress import BURST_MAX_FRAMES
from vms.stream.webrtc.reception import Reception
from vms.stream.webrtc.viewer import QUEUE_MAX_BYTES, QUEUE_MAX_FRAMES
from vms.telemetry.metrics import prometheus_text, read
from vms.wire import rtcp, rtp
from vms.wire.rtcp import ReportBlock

Watch = Callable[..., Awaitable[Watcher]]
Serve = Callable[..., Awaitable[StreamService]]
WALL_NS = 1_700_000_000 * NS


def block(**fields: int) -> ReportBlock:
    return ReportBlock(7, 0, 0, 0, 0, 0, 0)._replace(**fields)


def middle(wall_ns: int) -> int:
    return rtcp.middle_32(rtcp.unix_ns_to_ntp(wall_ns))


def test_a_report_is_told_in_seconds_and_shares() -> None:
    reception = Reception()
    reception.note(block(fraction_lost=64, packets_lost=12, jitter=900), 90_000, WALL_NS)
    assert (reception.fraction_lost, reception.packets_lost, reception.jitter_s) == (0.25, 12, 0.01)
    assert reception.round_trip_s is None  # it has seen no sender report yet


def test_the_round_trip_is_the_time_since_our_report_less_the_viewers_share_of_it() -> None:
    reception = Reception()
    sent_ns = WALL_NS - NS // 2
    reception.note(block(last_sr=middle(sent_ns), delay_since_last_sr=65536 * 2 // 5), 90_000, WALL_NS)
    assert reception.round_trip_s == pytest.approx(0.1, abs=1e-4)
    reception.note(block(last_sr=middle(WALL_NS), delay_since_last_sr=3), 90_000, WALL_NS)
    assert reception.round_trip_s == 0  # clocks round


def test_a_report_that_answers_none_of_ours_leaves_the_round_trip_as_it_was() -> None:
    reception = Reception()
    reception.note(block(last_sr=middle(WALL_NS - NS // 4)), 90_000, WALL_NS)
    known = reception.round_trip_s
    reception.note(block(last_sr=middle(WALL_NS - 3600 * NS)), 90_000, WALL_NS)
    assert reception.round_trip_s == known == pytest.approx(0.25, abs=1e-4)


async def test_the_statistics_of_a_session_are_those_of_its_newest_reports(
    camera: Camera, serve: Serve, watch: Watch
) -> None:
    service = await serve(camera)
    camera.push()
    watcher = await watch(service, rtx=True)
    before = service.session_stats(watcher.session_id)
    assert (before.fraction_lost, before.jitter_s, before.round_trip_s, before.estimated_bps) == (None,) * 4
    camera.push()
    await watcher.until(lambda: len(watcher.pictures()) == 2)
    ssrc = watcher.headers[0].ssrc
    await watcher.until(lambda: watcher.reports(ssrc))
    last_sr = rtcp.middle_32(watcher.reports(ssrc)[-1].ntp)
    told = block(ssrc=ssrc, fraction_lost=128, packets_lost=3, jitter=450, last_sr=last_sr)
    other = rtcp.ReceiverEstimatedBitrate(1, 1, (ssrc + 1,))
    bitrate = rtcp.ReceiverEstimatedBitrate(1, 1_500_000, (ssrc, 99))
    watcher.viewer.send_rtcp(rtcp.pack([rtcp.ReceiverReport(1, (told,)), bitrate, other]))
    async with asyncio.timeout(20):
        while service.session_stats(watcher.session_id).estimated_bps is None:
            await asyncio.sleep(0.01)
    stats = service.session_stats(watcher.session_id)
    assert (stats.stream, stats.frames, stats.frames_skipped) == (StreamName.MAIN, 2, 0)
    assert (stats.fraction_lost, stats.packets_lost, stats.jitter_s) == (0.5, 3, 0.005)
    assert stats.round_trip_s is not None
    assert abs(stats.estimated_bps - 1_500_000) < 10
    text = prometheus_text([read("stream", "stream-0", [service])]).decode()
    assert 'vms_stream_viewer_lost_fraction{camera="porch",quantile="0.5"' in text
    with pytest.raises(NotFound):
        service.session_stats("no-such-session")


async def test_lost_packets_come_again_as_retransmissions_where_they_were_negotiated(
    camera: Camera, serve: Serve, watch: Watch
) -> None:
    service = await serve(camera)
    for _ in range(3):
        camera.push()
    watcher = await watch(service, rtx=True)
    await watcher.until(lambda: len(watcher.pictures()) == 3)
    wanted = {
        header.sequence_number: packet for header, packet in zip(watcher.headers, watcher.video, strict=True)
    }
    numbers = tuple(wanted)[-3:]
    sent = len(watcher.video)
    for _ in range(2):  # asked for twice: sent twice, under numbers of their own
        watcher.viewer.send_rtcp(rtcp.pack([rtcp.Nack(1, watcher.headers[0].ssrc, numbers)]))
    await watcher.until(lambda: len(watcher.rtx) == 6)
    headers = [rtp.parse(packet) for packet in watcher.rtx]
    assert {header.ssrc for header in headers} == {service.egress(CAMERA).rtx_ssrc}
    assert [header.sequence_number for header in headers] == [
        headers[0].sequence_number + at for at in range(6)
    ]
    for number, header, packet in zip(numbers * 2, headers, watcher.rtx, strict=True):
        original = rtp.parse(wanted[number])
        payload = wanted[number][original.payload_start : original.payload_end]
        assert packet[header.payload_start : header.payload_end] == number.to_bytes(2, "big") + payload
        assert (header.timestamp, header.marker) == (original.timestamp, original.marker)
    assert len(watcher.video) == sent
    camera.push()
    await watcher.until(lambda: len(watcher.pictures()) == 4)


async def test_a_key_picture_that_the_group_cannot_give_is_asked_of_the_camera(
    serve: Serve, watch: Watch
) -> None:
    camera = Camera(h264_pictures(BURST_MAX_FRAMES + 20, gop=BURST_MAX_FRAMES + 10))
    asked: list[str] = []
    camera.hub.on_key_request = lambda: asked.append("key picture")
    service = await serve(camera)
    camera.push()
    watchers = [await watch(service) for _ in range(2)]
    for _ in range(BURST_MAX_FRAMES + 2):
        camera.push()
        await asyncio.sleep(0)
    for watcher in watchers:
        await watcher.until(lambda w=watcher: len(w.pictures()) == BURST_MAX_FRAMES + 3)
        watcher.viewer.send_rtcp(rtcp.pack([rtcp.PictureLossIndication(1, watcher.headers[0].ssrc)]))
    egress = service.egress(CAMERA)
    async with asyncio.timeout(20):
        while egress.key_requests < 2:
            await asyncio.sleep(0.01)
    assert asked == ["key picture"]  # both viewers' at once
    assert all(service.session_stats(w.session_id).key_requests == 1 for w in watchers)
    text = prometheus_text([read("stream", "stream-0", [service])]).decode()
    assert 'vms_stream_key_requests_passed_on_total{camera="porch",role="stream",stream="main"' in text


class Metronome(SystemClock):
    """Pictures and sounds are captured exactly as their timeline says."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ns = super().wall_ns()

    def wall_ns(self) -> int:
        self.now_ns += NS // FPS
        return self.now_ns


async def test_reports_of_sound_and_picture_tell_the_capture_time_of_either_also_over_a_new_timeline(
    serve: Serve, watch: Watch
) -> None:
    camera = Camera(audio=Codec.PCMU)
    camera.clock = Metronome()
    service = await serve(camera)
    for _ in range(4):
        camera.push()  # for the burst; sound begins live
    watcher = await watch(service, audio=True)
    await watcher.until(lambda: len(watcher.pictures()) == 4)
    assert watcher.audio == []
    (viewer,) = service._viewers.values()
    egress = service.egress(CAMERA)
    for restart in (False, True):
        if restart:
            camera.clock.now_ns += 7 * NS
            camera.restart_timeline()
            camera.pushed = 0
        sounds, pictures = len(watcher.audio), len(watcher.pictures())
        live = [camera.push() for _ in range(5)]
        await watcher.until(lambda count=pictures: len(watcher.pictures()) == count + 5)
        await watcher.until(lambda count=sounds: len(watcher.audio) == count + 5)
        told = len(watcher.reports(egress.audio_ssrc))
        viewer._report_due_ns = 0
        live.append(camera.push())
        await watcher.until(lambda count=told: len(watcher.reports(egress.audio_ssrc)) > count)
        await watcher.until(lambda count=sounds: len(watcher.audio) == count + 6)
        for ssrc, rate, packets in (
            (egress.video_ssrc, 90_000, [h for h in watcher.headers if h.marker]),
            (egress.audio_ssrc, 8000, [rtp.parse(packet) for packet in watcher.audio]),
        ):
            report = watcher.reports(ssrc)[-1]
            for packet, unit in zip(packets[-6:], live, strict=True):
                ahead = (packet.timestamp - report.rtp_timestamp + (1 << 31) & 0xFFFFFFFF) - (1 << 31)
                captured_ns = rtcp.ntp_to_unix_ns(report.ntp) + ahead * NS // rate
                assert abs(captured_ns - unit.capture_ns) < NS // 1000


class StuckPort:
    """A socket without room, for ever."""

    blocked = False

    def __init__(self) -> None:
        self.tries = 0

    def send(self, datagram: bytes, to: object) -> bool:
        return False

    def send_segments(self, *arguments: object) -> bool:
        self.tries += 1
        self.blocked = True
        return False

    def when_writable(self, callback: Callable[[], None]) -> None: ...


async def test_a_viewer_whose_socket_takes_nothing_costs_the_others_no_picture_and_no_turn(
    camera: Camera, serve: Serve, watch: Watch
) -> None:
    service = await serve(camera)
    camera.push()
    stuck, *others = [await watch(service) for _ in range(3)]
    for watcher in (stuck, *others):
        await watcher.until(lambda w=watcher: len(w.pictures()) == 1)
    viewer = service._viewers[stuck.session_id]
    port = StuckPort()
    viewer.peer.path = port, viewer.peer.path[1]
    egress = service.egress(CAMERA)
    pushed = [camera.pictures[0][0]]
    most_queued = 0
    for number in range(QUEUE_MAX_FRAMES + 50):
        pushed.append(camera.push().data)
        async with asyncio.timeout(20):
            while egress.frames <= number:
                await asyncio.sleep(0)
        most_queued = max(most_queued, viewer.queued_bytes)
    for watcher in others:
        await watcher.until(lambda w=watcher: len(w.pictures()) == len(pushed))
        assert watcher.pictures() == pushed
        assert service.session_stats(watcher.session_id).frames_skipped == 0
    assert port.tries == 1  # nothing is encrypted for it while it takes nothing
    assert 0 < most_queued <= QUEUE_MAX_BYTES
    assert service.session_stats(stuck.session_id).frames_skipped > 0
    assert egress.frames_overrun == 0
