"""A viewer goes from one stream of its camera to another: nothing that it can see starts over."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest
from bench._viewer import SinkViewer
from tests.stream.scripted_stream import CAMERA, Camera, Watcher, h264_pictures

from vms.common.clock import NS
from vms.common.errors import NotFound
from vms.common.stream_name import StreamName
from vms.media import Codec
from vms.stream import NotViewable, StreamService
from vms.stream.webrtc.egress import BURST_MAX_FRAMES
from vms.wire import rtcp, rtp

Watch = Callable[..., Awaitable[Watcher]]
Serve = Callable[..., Awaitable[StreamService]]


def sub_camera() -> Camera:
    """Pictures of another size on a timeline of their own."""
    sub = Camera(h264_pictures(50, width=160))
    sub.ticks = 1000
    return sub


def steps(watcher: Watcher) -> list[int]:
    """From each picture's timestamp to the next."""
    timestamps = [header.timestamp for header in watcher.headers if header.marker]
    return [(b - a + (1 << 31)) % (1 << 32) - (1 << 31) for a, b in pairwise(timestamps)]


def assert_unbroken(watcher: Watcher) -> None:
    numbers = [header.sequence_number for header in watcher.headers]
    assert numbers == [numbers[0] + at & 0xFFFF for at in range(len(numbers))]
    assert len({header.ssrc for header in watcher.headers}) == 1
    assert all(step > 0 for step in steps(watcher))


async def test_a_viewer_that_switches_gets_the_other_group_of_pictures_at_once_in_the_same_stream(
    camera: Camera, serve: Serve, watch: Watch
) -> None:
    sub = sub_camera()
    service = await serve(camera, sub)
    expected = [sub.push().data for _ in range(3)]
    watcher = await watch(service, stream=StreamName.SUB)
    await watcher.until(lambda: len(watcher.pictures()) == 3)
    expected += [camera.push().data for _ in range(4)]  # nobody watches main yet
    await service.select(watcher.session_id, StreamName.MAIN)
    await watcher.until(lambda: len(watcher.pictures()) == 7)
    sub.push()  # no longer for this viewer
    expected += [camera.push().data for _ in range(2)]
    await watcher.until(lambda: len(watcher.pictures()) == 9)
    assert watcher.pictures() == expected
    assert_unbroken(watcher)
    assert sub.hub.sinks == ()
    assert service.session_stats(watcher.session_id).stream is StreamName.MAIN
    assert service.viewers(CAMERA) == 1


async def test_up_to_the_other_streams_key_picture_the_viewer_goes_on_with_the_one_it_had(
    camera: Camera, serve: Serve, watch: Watch
) -> None:
    main = Camera(h264_pictures(BURST_MAX_FRAMES + 20, gop=BURST_MAX_FRAMES + 10))
    sub = sub_camera()
    asked: list[str] = []
    main.hub.on_key_request = lambda: asked.append("key picture")
    service = await serve(main, sub)
    for _ in range(BURST_MAX_FRAMES + 5):
        main.push()  # too many for a burst
    expected = [sub.push().data]
    watcher = await watch(service, stream=StreamName.SUB)
    await service.select(watcher.session_id, StreamName.MAIN)
    assert asked == ["key picture"]
    for _ in range(5):
        main.push()
        expected.append(sub.push().data)
    await watcher.until(lambda: len(watcher.pictures()) == 6)
    assert service.session_stats(watcher.session_id).stream is StreamName.SUB
    expected += [main.push().data for _ in range(3)]
    await watcher.until(lambda: len(watcher.pictures()) == 9)
    assert watcher.pictures() == expected
    assert_unbroken(watcher)
    assert sub.hub.sinks == ()


async def test_time_goes_on_by_capture_over_a_switch_and_reports_keep_to_it(
    camera: Camera, serve: Serve, watch: Watch
) -> None:
    sub = sub_camera()
    service = await serve(camera, sub)
    sub.push()
    watcher = await watch(service, stream=StreamName.SUB)
    async with camera.live(), sub.live():
        await watcher.until(lambda: len(watcher.pictures()) > 5)
        for stream in (StreamName.MAIN, StreamName.SUB, StreamName.MAIN):
            before = len(watcher.pictures())
            await service.select(watcher.session_id, stream)
            await watcher.until(lambda before=before: len(watcher.pictures()) > before + 40)
        sent = len(watcher.reports(watcher.headers[0].ssrc))
        await watcher.until(lambda: len(watcher.reports(watcher.headers[0].ssrc)) > sent)
    assert_unbroken(watcher)
    reports = watcher.reports(watcher.headers[0].ssrc)
    first, last = reports[0], reports[-1]
    by_ntp = (rtcp.ntp_to_unix_ns(last.ntp) - rtcp.ntp_to_unix_ns(first.ntp)) / NS
    by_rtp = (last.rtp_timestamp - first.rtp_timestamp & 0xFFFFFFFF) / 90_000
    # Pushing in real time on a busy machine makes capture times differ from the 40 ms of the timeline.
    assert abs(by_ntp - by_rtp) < 0.2
    assert service.session_stats(watcher.session_id).switches == 3


async def test_sound_stays_where_the_other_stream_has_the_same_and_ends_where_it_has_another(
    serve: Serve, watch: Watch
) -> None:
    main, same, other = (Camera(audio=codec) for codec in (Codec.PCMU, Codec.PCMU, Codec.PCMA))
    for sub, kept in ((same, True), (other, False)):
        service = await serve(main, sub)
        main.push()
        sub.push()
        watcher = await watch(service, audio=True)
        main.push()
        await watcher.until(lambda watcher=watcher: watcher.audio)
        await service.select(watcher.session_id, StreamName.SUB)
        before, pictures = len(watcher.audio), len(watcher.pictures())
        for _ in range(4):
            sub.push()
        await watcher.until(lambda w=watcher, count=pictures: len(w.pictures()) >= count + 5)
        if kept:
            await watcher.until(lambda w=watcher, count=before: len(w.audio) == count + 4)
            headers = [rtp.parse(packet) for packet in watcher.audio]
            assert len({header.ssrc for header in headers}) == 1
            assert all((b.sequence_number - a.sequence_number) & 0xFFFF == 1 for a, b in pairwise(headers))
        else:
            assert len(watcher.audio) == before


async def test_a_switch_that_is_taken_back_before_its_key_picture_leaves_nothing(
    camera: Camera, serve: Serve, watch: Watch
) -> None:
    sub = sub_camera()
    service = await serve(camera, sub)
    camera.push()
    watcher = await watch(service)
    await service.select(watcher.session_id, StreamName.SUB)  # it has sent nothing yet
    assert len(sub.hub.sinks) == 1
    assert service.viewers(CAMERA) == 1
    await service.select(watcher.session_id, StreamName.MAIN)
    assert sub.hub.sinks == ()
    sub.push()
    camera.push()
    await watcher.until(lambda: len(watcher.pictures()) == 2)
    assert watcher.pictures() == [data for data, _ in camera.pictures[:2]]
    assert_unbroken(watcher)


async def test_a_stream_that_is_not_there_or_cannot_be_shown_is_refused_and_the_viewer_keeps_its_own(
    camera: Camera, serve: Serve, watch: Watch
) -> None:
    service = await serve(camera, Camera(h264_pictures(30, profile="main", b_frames=2)))
    camera.push()
    watcher = await watch(service)
    with pytest.raises(NotFound):
        await service.select(watcher.session_id, StreamName.COMPAT)
    with pytest.raises(NotViewable):
        await service.select(watcher.session_id, StreamName.SUB)
    with pytest.raises(NotFound):
        await service.select("no-such-session", StreamName.SUB)
    camera.push()
    await watcher.until(lambda: len(watcher.pictures()) == 2)
    assert service.session_stats(watcher.session_id).stream is StreamName.MAIN


async def test_a_session_may_choose_before_it_is_connected(camera: Camera, serve: Serve) -> None:
    sub = sub_camera()
    service = await serve(camera, sub)
    viewer = SinkViewer()
    answer = await service.offer(CAMERA, viewer.offer())
    viewer.close()
    await service.select(answer.session_id, StreamName.SUB)
    assert service.egress(CAMERA) is None
    assert service.egress(CAMERA, StreamName.SUB) is not None
    await service.end(answer.session_id)
    assert service.egress(CAMERA, StreamName.SUB) is None


async def test_the_end_of_the_stream_that_would_follow_only_ends_the_switch(
    camera: Camera, serve: Serve, watch: Watch
) -> None:
    sub = sub_camera()
    service = await serve(camera, sub)
    camera.push()
    watcher = await watch(service)
    await service.select(watcher.session_id, StreamName.SUB)
    sub.show(h264_pictures(30, profile="main", b_frames=2))
    sub.push()
    camera.push()
    await watcher.until(lambda: len(watcher.pictures()) == 2)
    assert sub.hub.sinks == ()
    assert service.viewers(CAMERA) == 1


async def test_a_viewer_that_loses_too_much_is_given_the_sub_stream_by_itself(
    camera: Camera, serve: Serve, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vms.stream.webrtc.quality.LOSSY_NS", 0)
    sub = sub_camera()
    service = await serve(camera, sub)
    camera.push()
    sub.push()
    watcher = await watch(service)
    await watcher.until(lambda: watcher.video)
    block = rtcp.ReportBlock(watcher.headers[0].ssrc, 64, 10, 0, 0, 0, 0)
    watcher.viewer.send_rtcp(rtcp.pack([rtcp.ReceiverReport(1, (block,))]))
    await watcher.until(lambda: len(watcher.pictures()) == 2)
    assert watcher.pictures()[1] == sub.pictures[0][0]
    assert service.session_stats(watcher.session_id).stream is StreamName.SUB
    assert_unbroken(watcher)


async def test_a_camera_without_a_sub_stream_keeps_its_lossy_viewers_on_main(
    camera: Camera, serve: Serve, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vms.stream.webrtc.quality.LOSSY_NS", 0)
    service = await serve(camera)
    camera.push()
    watcher = await watch(service)
    await watcher.until(lambda: watcher.video)
    block = rtcp.ReportBlock(watcher.headers[0].ssrc, 64, 10, 0, 0, 0, 0)
    watcher.viewer.send_rtcp(rtcp.pack([rtcp.ReceiverReport(1, (block,))]))
    choice = service._choices[watcher.session_id]
    async with asyncio.timeout(20):
        while not choice.fixed:
            await asyncio.sleep(0.01)
    camera.push()
    await watcher.until(lambda: len(watcher.pictures()) == 2)
    assert service.session_stats(watcher.session_id).stream is StreamName.MAIN


async def test_a_viewer_that_was_given_the_sub_stream_gets_main_when_it_wishes_for_it_again(
    camera: Camera, serve: Serve, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vms.stream.webrtc.quality.LOSSY_NS", 0)
    sub = sub_camera()
    service = await serve(camera, sub)
    camera.push()
    sub.push()
    watcher = await watch(service)
    await watcher.until(lambda: watcher.video)
    block = rtcp.ReportBlock(watcher.headers[0].ssrc, 64, 10, 0, 0, 0, 0)
    watcher.viewer.send_rtcp(rtcp.pack([rtcp.ReceiverReport(1, (block,))]))
    await watcher.until(lambda: len(watcher.pictures()) == 2)
    camera.push()
    await service.select(watcher.session_id, StreamName.MAIN)
    assert service.session_stats(watcher.session_id).stream is StreamName.MAIN
    monkeypatch.undo()
    block = block._replace(fraction_lost=0)
    watcher.viewer.send_rtcp(rtcp.pack([rtcp.ReceiverReport(1, (block,))]))
    reported = service._viewers[watcher.session_id].reception
    async with asyncio.timeout(20):
        while reported.fraction_lost:
            await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert service.session_stats(watcher.session_id).stream is StreamName.MAIN
    assert service.session_stats(watcher.session_id).switches == 2


class SlowLease:
    """A lease on a hub that is ready when the test says so."""

    def __init__(self, camera: Camera, ready: asyncio.Event) -> None:
        self.hub, self._ready, self.released = camera.hub, ready, False

    async def ready(self, timeout_s: float) -> None:
        await self._ready.wait()

    def release(self) -> None:
        self.released = True


async def test_of_two_wishes_the_later_one_is_kept_though_it_is_granted_first(
    camera: Camera, serve: Serve, watch: Watch
) -> None:
    sub, main_ready = sub_camera(), asyncio.Event()
    service = await serve(camera, sub)
    sub.push()
    watcher = await watch(service, stream=StreamName.SUB)
    own, slow = service._egresses.lease, SlowLease(camera, main_ready)
    service._egresses.lease = lambda camera_id, stream: (
        slow if stream is StreamName.MAIN else own(camera_id, stream)
    )
    earlier = asyncio.create_task(service.select(watcher.session_id, StreamName.MAIN))
    await asyncio.sleep(0)
    await service.select(watcher.session_id, StreamName.SUB)
    main_ready.set()
    await earlier
    assert (await service.session(watcher.session_id)).stream is StreamName.SUB
    assert service._choices[watcher.session_id].wanted is StreamName.SUB
    assert (slow.released, camera.hub.sinks) == (True, ())


async def test_a_session_that_ends_while_its_next_stream_is_waited_for_leaves_nothing(
    camera: Camera, serve: Serve, watch: Watch
) -> None:
    sub, ready = sub_camera(), asyncio.Event()
    service = await serve(camera, sub)
    camera.push()
    watcher = await watch(service)
    slow = SlowLease(sub, ready)
    service._egresses.lease = lambda camera_id, stream: slow
    selecting = asyncio.create_task(service.select(watcher.session_id, StreamName.SUB))
    await asyncio.sleep(0)
    await service.end(watcher.session_id)
    ready.set()
    with pytest.raises(NotFound):
        await selecting
    assert (slow.released, sub.hub.sinks, camera.hub.sinks) == (True, (), ())
    assert list(service._egresses) == []


async def test_a_wish_whose_stream_changed_before_it_came_may_be_made_again(
    camera: Camera, serve: Serve, watch: Watch
) -> None:
    sub = sub_camera()
    service = await serve(camera, sub)
    camera.push()
    watcher = await watch(service)
    await service.select(watcher.session_id, StreamName.SUB)  # it has sent nothing yet
    sub.show(h264_pictures(30, profile="main", b_frames=2))
    sub.push()
    sub.push()
    assert sub.hub.sinks == ()
    sub.show(h264_pictures(50, width=160))
    sub.push()
    await service.select(watcher.session_id, StreamName.SUB)
    assert service.session_stats(watcher.session_id).stream is StreamName.SUB


async def test_a_sub_stream_that_is_not_live_yet_is_tried_again_at_a_lossy_viewers_next_report(
    camera: Camera, serve: Serve, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vms.stream.webrtc.quality.LOSSY_NS", 0)
    sub = sub_camera()
    sub.hub.announce([])
    service = await serve(camera, sub)
    camera.push()
    watcher = await watch(service)
    await watcher.until(lambda: watcher.video)
    block = rtcp.ReportBlock(watcher.headers[0].ssrc, 64, 10, 0, 0, 0, 0)
    watcher.viewer.send_rtcp(rtcp.pack([rtcp.ReceiverReport(1, (block,))]))
    async with asyncio.timeout(20):
        while service._viewers[watcher.session_id].reception.reports == 0 or service._selecting:
            await asyncio.sleep(0)
    assert service.session_stats(watcher.session_id).stream is StreamName.MAIN
    sub.announce()
    sub.push()
    watcher.viewer.send_rtcp(rtcp.pack([rtcp.ReceiverReport(1, (block,))]))
    await watcher.until(lambda: len(watcher.pictures()) == 2)
    assert service.session_stats(watcher.session_id).stream is StreamName.SUB


async def test_main_that_changed_before_it_came_is_tried_again_at_the_viewers_next_report(
    camera: Camera, serve: Serve, watch: Watch
) -> None:
    sub = sub_camera()
    service = await serve(camera, sub)
    sub.push()
    watcher = await watch(service, stream=StreamName.SUB)
    await watcher.until(lambda: watcher.video)
    await service.select(watcher.session_id, StreamName.MAIN)  # it has sent nothing yet
    playable = camera.pictures
    camera.show(h264_pictures(30, profile="main", b_frames=2))
    camera.push()
    camera.push()
    assert camera.hub.sinks == ()
    camera.show(playable)
    camera.push()
    block = rtcp.ReportBlock(watcher.headers[0].ssrc, 0, 0, 0, 0, 0, 0)
    watcher.viewer.send_rtcp(rtcp.pack([rtcp.ReceiverReport(1, (block,))]))
    await watcher.until(lambda: len(watcher.pictures()) == 2)
    assert service.session_stats(watcher.session_id).stream is StreamName.MAIN


async def test_a_hole_in_the_stream_makes_it_ask_for_a_key_picture_until_one_comes(
    camera: Camera, serve: Serve, watch: Watch
) -> None:
    service = await serve(camera)
    camera.push()
    watcher = await watch(service)
    await watcher.until(lambda: watcher.video)
    egress = service.egress(CAMERA)
    assert egress is not None
    assert egress.key_requests == 0
    camera.discontinuity = True
    for _ in range(5):
        camera.push()
    assert egress.key_requests == 1, "once a second"
    while not camera.push().key:
        pass
    assert egress.key_requests == 1
    camera.push()
    await watcher.until(lambda: len(watcher.pictures()) == 3)


async def test_of_a_stream_that_is_taken_away_those_who_chose_it_are_ended_and_the_others_get_theirs_back(
    camera: Camera, serve: Serve, watch: Watch
) -> None:
    sub = sub_camera()
    service = await serve(camera, sub)
    sub.push()
    camera.push()
    chose = await watch(service, stream=StreamName.SUB)
    given, main = await watch(service), await watch(service)
    await service._switch(given.session_id, StreamName.SUB)  # as for its network's sake

    service.end_stream(CAMERA, StreamName.SUB)

    with pytest.raises(NotFound):
        await service.session(chose.session_id)
    async with camera.live():
        for watcher in (given, main):
            before = len(watcher.pictures())
            await watcher.until(lambda watcher=watcher, before=before: len(watcher.pictures()) > before + 5)
    assert service.session_stats(given.session_id).stream is StreamName.MAIN
    assert sub.hub.sinks == ()
