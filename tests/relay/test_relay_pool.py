"""Subscriptions on demand: shared, idle, lost, moved; what their leases are told meanwhile."""

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import pytest
from tests.relay.conftest import CAMERA, Relay, relaying, until
from tests.relay.material import AUDIO, PPS, SPS, VIDEO, Recorder, picture, sound, without_arrival

from vms.common.clock import SystemClock
from vms.common.errors import Unavailable
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.media import Codec, Gap, GapReason, Hub, Track
from vms.relay import RelayPool, RelayServer, TcpAddress, UnixAddress
from vms.relay import server as relay_server
from vms.relay.pool import Lease
from vms.wire.rtsp.server import CannotListen


def counted(pool: RelayPool, name: str) -> float:
    return next(m.samples[0][1] for m in pool.metrics() if m.name == name)


async def refused(lease: Lease, why: str) -> None:
    """Wait until that is the reason why it is not ready."""
    async with asyncio.timeout(20):
        while True:
            with pytest.raises(Unavailable) as raised:
                await lease.ready(0.05)
            if re.search(why, str(raised.value)):
                return


async def test_a_subscriber_that_joins_gets_the_group_of_pictures_then_what_is_live(relay: Relay) -> None:
    relay.source.announce([VIDEO, AUDIO])
    old, key, then, heard, live = picture(0, key=True), picture(1, key=True), picture(2), sound(3), picture(4)
    for unit in (old, key, then, heard):
        relay.source.push(unit)
    lease = relay.pool.acquire(CAMERA)
    recorder = Recorder()
    lease.hub.attach(recorder)
    await lease.ready(5)
    assert lease.hub.tracks == (VIDEO, AUDIO)
    relay.source.push(live)
    await until(lambda: len(recorder.units) == 4)
    assert without_arrival(recorder.units) == without_arrival([key, then, heard, live])
    assert without_arrival(list(lease.hub.gop)) == without_arrival([key, then, heard, live])


async def test_arrival_is_this_process_s_own_monotonic_time(relay: Relay) -> None:
    relay.source.announce([VIDEO])
    lease = relay.pool.acquire(CAMERA)
    await lease.ready(5)
    before_ns = relay.clock.monotonic_ns()
    relay.source.push(picture(0, key=True)._replace(arrival_ns=1))
    await until(lambda: lease.hub.units)
    assert lease.hub.last_unit is not None
    assert before_ns <= lease.hub.last_unit.arrival_ns <= relay.clock.monotonic_ns()


async def test_nothing_runs_while_nobody_subscribes(relay: Relay) -> None:
    relay.source.announce([VIDEO])
    assert relay.source.sinks == ()
    lease = relay.pool.acquire(CAMERA)
    await lease.ready(5)
    assert len(relay.source.sinks) == 1


async def test_a_second_lease_shares_the_subscription(relay: Relay) -> None:
    relay.source.announce([VIDEO])
    first, second = relay.pool.acquire(CAMERA), relay.pool.acquire(CAMERA)
    await first.ready(5)
    await second.ready(5)
    assert first.hub is second.hub
    assert relay.players == 1
    first.release()
    first.release()
    relay.source.push(picture(0, key=True))
    await until(lambda: second.hub.units == 1)


async def test_a_subscription_ends_when_it_has_been_idle_and_not_before(tmp_path: Path) -> None:
    async with relaying(tmp_path / "media-0.rtsp", idle_s=0.05) as relay:
        relay.source.announce([VIDEO])
        lease = relay.pool.acquire(CAMERA)
        await lease.ready(5)
        lease.release()
        again = relay.pool.acquire(CAMERA)
        assert again.hub is lease.hub
        await asyncio.sleep(0.1)
        assert relay.players == 1, "it is held again"
        again.release()
        await until(lambda: relay.players == 0)
        assert relay.source.sinks == ()
        await until(lambda: counted(relay.pool, "vms_relay_subscriptions") == 0)
        assert counted(relay.pool, "vms_relay_subscription_sessions") == 1, "counters outlive subscriptions"


async def test_a_relay_that_ends_leaves_a_gap_that_its_return_closes(relay: Relay) -> None:
    relay.source.announce([VIDEO, AUDIO])
    lease = relay.pool.acquire(CAMERA)
    recorder = Recorder()
    lease.hub.attach(recorder)
    await lease.ready(5)
    last = picture(0, key=True)
    relay.source.push(last)
    await until(lambda: recorder.units)
    await relay.server.stop()
    await until(lambda: recorder.gaps)
    (gap,) = recorder.gaps
    assert (gap.start_ns, gap.end_ns, gap.reason) == (last.capture_ns, None, GapReason.CAMERA_LOST)
    assert "relay" in gap.detail
    hub = lease.hub
    await relay.restart()
    await lease.ready(5)
    assert lease.hub is hub
    relay.source.push(picture(10, key=True))
    relay.source.push(sound(20))
    relay.source.push(picture(11))
    await until(lambda: len(recorder.units) >= 5)
    replayed, picture_after, sound_after, then = recorder.units[1:]
    assert replayed.discontinuity, "the group of pictures begins anew"
    assert not picture_after.discontinuity
    assert sound_after.discontinuity, "the first of its line after the gap"
    assert not then.discontinuity
    assert replayed.track is recorder.units[0].track
    assert len(recorder.gaps) == 1


async def test_a_relay_that_is_killed_is_noticed_like_one_that_ends(relay: Relay) -> None:
    relay.source.announce([VIDEO])
    relay.source.push(picture(0, key=True))
    lease = relay.pool.acquire(CAMERA)
    await lease.ready(5)
    await until(lambda: lease.hub.units)
    assert relay.server._server is not None
    await relay.server._server.stop(farewell=False)
    await until(lambda: lease.hub.lasting_gap is not None)


async def test_the_camera_is_followed_to_another_process(relay: Relay, tmp_path: Path) -> None:
    relay.source.announce([VIDEO])
    relay.source.push(picture(0, key=True))
    lease = relay.pool.acquire(CAMERA)
    recorder = Recorder()
    lease.hub.attach(recorder)
    await lease.ready(5)
    await until(lambda: recorder.units)
    async with relaying(tmp_path / "media-1.rtsp") as other:
        other.source.announce([replace(VIDEO, parameter_sets=(SPS, PPS + b"\1"))])
        other.source.push(picture(7, key=True, track=other.source.tracks[0]))
        relay.pool.moved(CAMERA)
        await asyncio.sleep(0.05)
        assert relay.players == 1, "locate says the same as before"
        relay.address = other.address
        relay.pool.moved(CAMERA)
        await until(lambda: len(recorder.units) == 2)
        await until(lambda: relay.players == 0)
        assert recorder.units[1].track == other.source.tracks[0]
        assert recorder.units[1].discontinuity
        assert lease.hub.tracks == other.source.tracks
        assert [gap.end_ns for gap in recorder.gaps] == [None]


async def test_a_camera_that_no_process_has_is_unavailable_and_comes_when_one_has(relay: Relay) -> None:
    relay.source.announce([VIDEO])
    address, relay.address = relay.address, None
    lease = relay.pool.acquire(CAMERA)
    await refused(lease, "no process has the camera")
    relay.address = address
    relay.pool.moved(CAMERA)
    await lease.ready(5)


async def test_the_reason_says_what_the_other_process_says(
    relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_server, "TRACKS_WAIT_S", 0.02)
    silent, unknown = relay.pool.acquire(CAMERA), relay.pool.acquire(CameraId("other"))
    await refused(silent, "has sent nothing yet")
    await refused(unknown, "does not have it")
    relay.address = UnixAddress(relay.path.with_name("media-9.rtsp"))
    absent = relay.pool.acquire(CameraId("third"))
    await refused(absent, r"cannot connect to media-9\.rtsp")


async def test_a_subscriber_waits_for_a_camera_that_is_just_being_connected(relay: Relay) -> None:
    lease = relay.pool.acquire(CAMERA)
    waiting = asyncio.create_task(lease.ready(5))
    await asyncio.sleep(0.05)
    relay.source.announce([VIDEO])
    await waiting
    assert counted(relay.pool, "vms_relay_subscription_failures") == 0


async def test_one_who_joins_during_a_gap_is_told_it(relay: Relay) -> None:
    relay.source.announce([VIDEO])
    relay.source.push(picture(0, key=True))
    gap = Gap(5, None, GapReason.NO_FRAMES, "the picture froze")
    relay.source.gap(gap)
    lease = relay.pool.acquire(CAMERA)
    await lease.ready(5)
    await until(lambda: lease.hub.lasting_gap is not None)
    assert lease.hub.lasting_gap == gap
    relay.source.push(picture(1, key=True, discontinuity=True))
    await until(lambda: lease.hub.lasting_gap is None)


@pytest.mark.parametrize(
    "tracks",
    [(VIDEO,), (VIDEO, AUDIO, Track(3, Codec.PCMA, 8000, sample_rate=8000, channels=1)), (AUDIO,)],
)
async def test_other_lines_end_the_session_and_the_next_has_them(
    relay: Relay, tracks: tuple[Track, ...]
) -> None:
    relay.source.announce([VIDEO, AUDIO])
    relay.source.push(picture(0, key=True))
    lease = relay.pool.acquire(CAMERA)
    await lease.ready(5)
    await until(lambda: lease.hub.units == 1)
    relay.source.announce(tracks)
    relay.source.push(picture(1, key=True) if VIDEO in tracks else sound(2))
    await until(lambda: lease.hub.tracks == tracks)
    await lease.ready(5)
    relay.source.push(picture(2, key=True) if VIDEO in tracks else sound(4))
    await until(lambda: lease.hub.units >= 2)
    assert counted(relay.pool, "vms_relay_subscription_sessions") == 2


async def test_a_camera_that_a_process_pulls_no_more_is_told_to_its_subscribers(relay: Relay) -> None:
    relay.source.announce([VIDEO])
    relay.source.push(picture(0, key=True))
    lease = relay.pool.acquire(CAMERA)
    await lease.ready(5)
    await until(lambda: lease.hub.units)
    del relay.hubs[CAMERA]
    relay.server.end(CAMERA)
    await until(lambda: lease.hub.lasting_gap is not None)
    await refused(lease, "does not have it")
    hub = relay.hubs[CAMERA] = Hub(CAMERA)
    hub.announce([VIDEO])
    await lease.ready(5)
    hub.push(picture(0, key=True))
    await until(lambda: lease.hub.units == 2)


async def test_a_slow_subscriber_goes_on_at_a_key_picture_and_others_miss_nothing(
    relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_server, "LIMIT_BYTES", 1 << 20)
    await relay.server.stop()
    await relay.restart()
    relay.source.announce([VIDEO])
    slow_pool = RelayPool(lambda camera_id, stream: relay.address, relay.clock)
    slow, quick = slow_pool.acquire(CAMERA), relay.pool.acquire(CAMERA)
    recorder, complete = Recorder(), Recorder()
    slow.hub.attach(recorder)
    quick.hub.attach(complete)
    await slow.ready(5)
    await quick.ready(5)
    session = slow_pool._subscriptions[CAMERA, StreamName.MAIN]._session
    assert session is not None and session._requester.connection is not None
    transport = session._requester.connection._transport
    assert transport is not None
    transport.pause_reading()
    sent = [picture(0, key=True)]
    relay.source.push(sent[0])
    for number in range(1, 60):
        sent.append(picture(number, size=100_000))
        relay.source.push(sent[-1])
        await until(lambda: len(complete.units) == len(sent))
    transport.resume_reading()
    serving = relay.server._server
    assert serving is not None
    await until(lambda: not any(each._transport.get_write_buffer_size() for each in serving._connections))
    sent += [picture(60), picture(61, key=True), picture(62)]
    for unit in sent[-3:]:
        relay.source.push(unit)
    await until(lambda: len(complete.units) == len(sent) and recorder.units[-1].pts == sent[-1].pts)
    assert without_arrival(complete.events) == without_arrival(sent)
    resumed, then = recorder.units[-2:]
    assert (resumed.pts, resumed.discontinuity) == (sent[-2].pts, True)
    assert without_arrival([then]) == without_arrival([sent[-1]])
    (gap,) = recorder.gaps
    assert gap.reason is GapReason.OVERRUN
    assert (gap.start_ns, gap.end_ns) == (recorder.units[-3].capture_ns, resumed.capture_ns)
    assert len(recorder.units) < len(sent)
    await slow_pool.close()


async def test_by_tcp_the_token_opens_and_another_does_not() -> None:
    clock = SystemClock()
    hub = Hub(CAMERA)
    hub.announce([VIDEO])
    hub.push(picture(0, key=True))
    server = RelayServer(lambda camera_id: hub, clock, token="s3cret: token")
    await server.start()
    try:
        for token, opens in (("s3cret: token", True), ("guess", False)):
            address = TcpAddress("127.0.0.1", server.port, token)
            assert token not in repr(address)
            pool = RelayPool(lambda camera_id, stream, address=address: address, clock)  # type: ignore[misc]
            lease = pool.acquire(CAMERA)
            if opens:
                await lease.ready(5)
                await until(lambda lease=lease: lease.hub.units == 1)
            else:
                await refused(lease, "refuses the user name or the password")
            await pool.close()
    finally:
        await server.stop()


async def test_a_relay_listens_at_a_path_of_any_length_and_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / ("deep-" * 30)
    folder.mkdir()
    async with relaying(folder / "media-0.rtsp") as relay:
        relay.source.announce([VIDEO])
        await relay.pool.acquire(CAMERA).ready(5)
        assert (folder / "media-0.rtsp").stat().st_mode & 0o777 == 0o600
    assert list(folder.iterdir()) == []
    server = RelayServer(relay.find, relay.clock, path=folder / "none" / "media-0.rtsp")
    with pytest.raises(CannotListen, match=r"media-0\.rtsp"):
        await server.start()


async def test_udp_is_not_offered_on_a_unix_socket(relay: Relay) -> None:
    relay.source.announce([VIDEO])
    reader, writer = await asyncio.open_unix_connection(str(relay.path))
    writer.write(
        b"SETUP rtsp://relay/camera/trackID=1 RTSP/1.0\r\nCSeq: 1\r\n"
        b"Transport: RTP/AVP;unicast;client_port=5000-5001\r\n\r\n"
    )
    assert b" 461 " in await reader.readline()
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("watched", [True, False])
async def test_one_who_joins_after_a_track_changed_gets_the_units_before_with_the_track_they_had(
    relay: Relay, watched: bool
) -> None:
    if watched:
        relay.source.announce([VIDEO, AUDIO])
        await relay.pool.acquire(CAMERA).ready(5)
    newer = replace(AUDIO, version=1)
    relay.source.announce([VIDEO, AUDIO])
    units = [picture(0, key=True), sound(0), sound(1, track=newer), picture(1), sound(2, track=newer)]
    for unit in units:
        if unit.track is newer:
            relay.source.announce([VIDEO, newer])
        relay.source.push(unit)
    pool = RelayPool(lambda camera_id, stream: relay.address, relay.clock)
    lease = pool.acquire(CAMERA)
    recorder = Recorder()
    lease.hub.attach(recorder)
    await until(lambda: len(recorder.units) == len(units))
    assert without_arrival(recorder.units) == without_arrival(units)
    assert lease.hub.tracks == (VIDEO, newer)
    await pool.close()
