"""What viewers get of a stream, and when."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest
from tests.stream.scripted_stream import (
    CAMERA,
    Camera,
    Watcher,
    h264_pictures,
    track_of,
    without_parameter_sets,
)

from vms.common.clock import NS
from vms.format import h264, nal
from vms.media import Codec, Gap, GapReason
from vms.stream import StreamService
from vms.stream.webrtc.egress import BURST_MAX_FRAMES
from vms.wire import rtcp
from vms.wire.webrtc.peer import CloseReason
from vms.wire.webrtc.srtp import SrtpProfile

Watch = Callable[..., Awaitable[Watcher]]
Serve = Callable[..., Awaitable[StreamService]]


def kinds(picture: bytes) -> list[int]:
    return [h264.nal_type(unit) for unit in nal.split(picture)]


async def test_a_viewer_gets_the_group_of_pictures_at_once_and_then_every_picture_as_it_comes(
    camera: Camera, serve: Serve, watch: Watch
) -> None:
    service = await serve(camera)
    pushed = [camera.push().data for _ in range(30)]  # the second key picture is number 25
    watcher = await watch(service)
    await watcher.until(lambda: len(watcher.pictures()) == 5)
    for _ in range(10):
        pushed.append(camera.push().data)
    await watcher.until(lambda: len(watcher.pictures()) == 15)
    assert watcher.pictures() == pushed[25:]
    timestamps = [header.timestamp for header in watcher.headers if header.marker]
    assert {(b - a) % (1 << 32) for a, b in pairwise(timestamps)} == {3600}


@pytest.mark.parametrize("profile", list(SrtpProfile), ids=lambda profile: profile.name)
async def test_both_protection_profiles_carry_the_same_pictures(
    profile: SrtpProfile, camera: Camera, serve: Serve, watch: Watch
) -> None:
    service = await serve(camera, profiles=[profile])
    pushed = [camera.push().data for _ in range(10)]
    watcher = await watch(service)
    assert watcher.viewer.profile is profile
    await watcher.until(lambda: len(watcher.pictures()) == 10)
    assert watcher.pictures() == pushed


async def test_pictures_arrive_whole_where_the_kernel_has_no_gso(
    camera: Camera, serve: Serve, watch: Watch
) -> None:
    service = await serve(camera, gso=False)
    assert not service.endpoint.gso
    pushed = [camera.push().data for _ in range(10)]
    watcher = await watch(service)
    await watcher.until(lambda: len(watcher.pictures()) == 10)
    assert watcher.pictures() == pushed


async def test_viewers_over_ipv6_and_ipv4_watch_side_by_side(
    camera: Camera, serve: Serve, watch: Watch
) -> None:
    service = await serve(camera)
    if not any(str(address) == "::1" for address, _ in service.endpoint.candidates):
        pytest.skip("no IPv6 on this machine")
    pushed = [camera.push().data for _ in range(3)]
    for host in ("::1", "127.0.0.1"):
        watcher = await watch(service, host)
        await watcher.until(lambda watcher=watcher: len(watcher.pictures()) == 3)
        assert watcher.pictures() == pushed


async def test_a_viewer_that_fails_inside_is_ended_and_the_others_go_on(
    camera: Camera, serve: Serve, watch: Watch
) -> None:
    service = await serve(camera)
    camera.push()
    broken, other = await watch(service), await watch(service)
    await other.until(lambda: len(other.pictures()) == 1)
    service._viewers[broken.session_id].peer.srtp.rtp._encrypt = None
    pushed = [camera.push().data for _ in range(4)]
    await other.until(lambda: len(other.pictures()) == 5)
    assert other.pictures()[1:] == pushed
    assert list(service._viewers) == [other.session_id]
    assert service.ended == {CloseReason.ERROR: 1}


async def test_all_viewers_get_all_pictures_and_each_is_first_in_turn(
    camera: Camera, serve: Serve, watch: Watch
) -> None:
    service = await serve(camera)
    camera.push()
    watchers = [await watch(service) for _ in range(4)]
    egress = service.egress(CAMERA)
    first = []
    for _ in range(8):
        camera.push()
        first.append(egress._turns._order[0])
        done = egress.frames + 1
        async with asyncio.timeout(20):
            while egress.frames < done:
                await asyncio.sleep(0)
    assert set(first) == set(egress.viewers)
    assert first[:4] == first[4:]
    for watcher in watchers:
        await watcher.until(lambda watcher=watcher: len(watcher.pictures()) == 9)
    assert len(egress.delays_ns) == 8


async def test_a_walk_that_was_interrupted_is_not_gone_on_with_for_the_next_viewer(
    camera: Camera, serve: Serve, watch: Watch
) -> None:
    service = await serve(camera)
    camera.push()
    first = await watch(service)
    egress = service.egress(CAMERA)
    camera.push()  # its walk is about to begin
    viewer = egress.viewers[0]
    egress.remove(viewer)
    egress.add(viewer)
    picture = camera.push()
    assert egress._turns._order == (viewer,)
    assert [frame.capture_ns for frame in egress._turns._waiting] == [picture.capture_ns]
    done = egress.frames + 1
    await first.until(lambda: egress.frames == done)


async def test_a_long_group_of_pictures_is_not_burst_and_the_viewer_begins_at_the_next_key_picture(
    serve: Serve, watch: Watch
) -> None:
    camera = Camera(h264_pictures(BURST_MAX_FRAMES + 20, gop=BURST_MAX_FRAMES + 10))
    service = await serve(camera)
    for _ in range(BURST_MAX_FRAMES + 5):
        camera.push()
    watcher = await watch(service)
    for _ in range(5):
        camera.push()
    pushed = [camera.push().data for _ in range(3)]
    await watcher.until(lambda: len(watcher.pictures()) == 3)
    assert watcher.pictures() == pushed


async def test_parameter_sets_that_only_the_sdp_of_the_camera_had_are_put_before_key_pictures(
    serve: Serve, watch: Watch
) -> None:
    camera = Camera(in_band=False)
    service = await serve(camera)
    camera.push()
    watcher = await watch(service)
    await watcher.until(lambda: len(watcher.pictures()) == 1)
    (picture,) = watcher.pictures()
    assert kinds(picture)[-3:] == [h264.SPS, h264.PPS, h264.IDR] or h264.SEI in kinds(picture)
    sets = [bytes(u) for u in nal.split(picture) if h264.nal_type(u) in (h264.SPS, h264.PPS)]
    assert tuple(sets) == camera.track.parameter_sets
    assert without_parameter_sets(picture) == without_parameter_sets(camera.pictures[0][0])


async def test_a_new_resolution_goes_on_in_the_same_session(
    camera: Camera, serve: Serve, watch: Watch
) -> None:
    service = await serve(camera)
    camera.push()
    watcher = await watch(service)
    larger = h264_pictures(5, width=640)
    camera.show(larger)
    for _ in range(5):
        camera.push()
    await watcher.until(lambda: len(watcher.pictures()) == 6)
    assert watcher.pictures()[1:] == [data for data, _ in larger]
    numbers = [header.sequence_number for header in watcher.headers]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


async def test_after_a_loss_pictures_are_held_back_up_to_the_next_key_picture(
    camera: Camera, serve: Serve, watch: Watch
) -> None:
    service = await serve(camera)
    pushed = [camera.push().data for _ in range(3)]
    watcher = await watch(service)
    now_ns = camera.clock.wall_ns()
    camera.hub.gap(Gap(now_ns, now_ns, GapReason.PACKET_LOSS))
    camera.discontinuity = True
    while camera.pushed < 25:
        camera.push()
    pushed += [camera.push().data for _ in range(2)]
    await watcher.until(lambda: len(watcher.pictures()) == 5)
    assert watcher.pictures() == pushed
    assert [kinds(data)[-1] for data in watcher.pictures()][3] == h264.IDR


async def test_rtp_time_goes_on_when_the_camera_comes_back_with_a_new_timeline(
    camera: Camera, serve: Serve, watch: Watch
) -> None:
    service = await serve(camera)
    for _ in range(10):
        camera.push()
    watcher = await watch(service)
    camera.hub.gap(Gap(camera.clock.wall_ns(), None, GapReason.CAMERA_LOST))
    camera.restart_timeline()
    camera.pushed = 0
    for _ in range(5):
        camera.push()
    await watcher.until(lambda: len(watcher.pictures()) == 15)
    timestamps = [header.timestamp for header in watcher.headers if header.marker]
    steps = [(b - a + (1 << 31)) % (1 << 32) - (1 << 31) for a, b in pairwise(timestamps)]
    assert all(0 < step < 90_000 for step in steps)


async def test_a_lost_packet_is_sent_again_byte_for_byte(camera: Camera, serve: Serve, watch: Watch) -> None:
    service = await serve(camera)
    camera.push()
    watcher = await watch(service)
    for _ in range(5):
        camera.push()
    await watcher.until(lambda: len(watcher.pictures()) == 6)
    lost = {header.sequence_number: raw for header, raw in zip(watcher.headers, watcher.raw, strict=True)}
    arrived: list[bytes] = []
    watcher.viewer.on_datagram = arrived.append
    ssrc = watcher.headers[0].ssrc
    wanted = sorted(lost)[-4:]
    watcher.viewer.send_rtcp(rtcp.pack([rtcp.Nack(1, ssrc, tuple(wanted)), rtcp.Nack(1, ssrc + 1, (1, 2))]))
    async with asyncio.timeout(20):
        while len(arrived) < 4:
            await asyncio.sleep(0.01)
    assert arrived == [lost[number] for number in wanted]
    (viewer,) = service._viewers.values()
    assert (viewer.counters.nacks, viewer.counters.resent) == (4, 4)


@pytest.mark.parametrize("request_kind", ["pli", "fir"])
async def test_a_request_for_a_key_picture_is_answered_from_the_group_of_pictures_once_a_second(
    request_kind: str, camera: Camera, serve: Serve, watch: Watch
) -> None:
    service = await serve(camera)
    pushed = [camera.push().data for _ in range(5)]
    watcher = await watch(service)
    await watcher.until(lambda: len(watcher.pictures()) == 5)
    ssrc = watcher.headers[0].ssrc
    request = (
        rtcp.PictureLossIndication(1, ssrc)
        if request_kind == "pli"
        else rtcp.FullIntraRequest(1, ((ssrc, 1),))
    )
    for _ in range(3):
        watcher.viewer.send_rtcp(rtcp.pack([request]))
    await watcher.until(lambda: len(watcher.pictures()) == 10)
    pushed += [*pushed, camera.push().data]
    await watcher.until(lambda: len(watcher.pictures()) == 11)
    assert watcher.pictures() == pushed
    timestamps = [header.timestamp for header in watcher.headers if header.marker]
    steps = [(b - a) % (1 << 32) for a, b in pairwise(timestamps)]
    assert all(0 < step <= 3600 for step in steps)
    (viewer,) = service._viewers.values()
    assert (viewer.counters.key_requests, viewer.counters.key_requests_answered) == (3, 1)


async def test_sound_goes_along_with_its_own_reports_on_the_same_clock(serve: Serve, watch: Watch) -> None:
    camera = Camera(audio=Codec.PCMU)
    service = await serve(camera)
    camera.push()
    watcher = await watch(service, audio=True)
    for _ in range(5):
        camera.push()
    await watcher.until(lambda: len(watcher.audio) == 5 and len(watcher.pictures()) == 6)
    egress = service.egress(CAMERA)
    assert all(packet[12:] == bytes([0xD5]) * 320 for packet in watcher.audio)
    await watcher.until(lambda: watcher.reports(egress.video_ssrc))
    (report, *_) = watcher.reports(egress.video_ssrc)
    assert abs(rtcp.ntp_to_unix_ns(report.ntp) - camera.clock.wall_ns()) < NS
    names = {packet.cname for packet in watcher.rtcp if isinstance(packet, rtcp.SourceDescription)}
    assert names == {egress.cname}


async def test_a_reference_time_is_answered_with_the_delay_since(
    camera: Camera, serve: Serve, watch: Watch
) -> None:
    service = await serve(camera)
    camera.push()
    watcher = await watch(service)
    ntp = rtcp.unix_ns_to_ntp(camera.clock.wall_ns())
    watcher.viewer.send_rtcp(rtcp.pack([rtcp.ReceiverReport(77), rtcp.ReceiverReferenceTime(77, ntp)]))
    async with camera.live():
        await watcher.until(
            lambda: any(isinstance(packet, rtcp.DelaySinceLastReference) for packet in watcher.rtcp)
        )
    answer = next(packet for packet in watcher.rtcp if isinstance(packet, rtcp.DelaySinceLastReference))
    assert (answer.receiver_ssrc, answer.last_rr) == (77, rtcp.middle_32(ntp))
    assert 0 <= answer.delay < 2 * 65536


async def test_viewers_of_a_stream_that_begins_to_reorder_are_sent_away(
    camera: Camera, serve: Serve, watch: Watch
) -> None:
    service = await serve(camera)
    camera.push()
    watcher = await watch(service)
    reordered = h264_pictures(30, profile="main", b_frames=2)
    assert track_of(reordered).max_reorder > 0
    camera.show(reordered)
    camera.push()
    async with asyncio.timeout(20):
        while not watcher.viewer.closed:
            await asyncio.sleep(0.01)
    assert service.viewers(CAMERA) == 0
    assert camera.hub.sinks == ()
    assert camera.hub.sinks_failed == 0


async def test_an_ended_session_gets_bye_and_close_notify_and_the_hub_is_left_alone(
    camera: Camera, serve: Serve, watch: Watch
) -> None:
    service = await serve(camera)
    camera.push()
    watcher, other = await watch(service), await watch(service)
    assert service.viewers(CAMERA) == 2
    await service.end(watcher.session_id)
    await watcher.until(lambda: any(isinstance(packet, rtcp.Bye) for packet in watcher.rtcp))
    async with asyncio.timeout(20):
        while not watcher.viewer.closed:
            await asyncio.sleep(0.01)
    assert service.viewers(CAMERA) == 1
    await service.end(other.session_id)
    assert camera.hub.sinks == ()
    assert service.endpoint.peers == {}
