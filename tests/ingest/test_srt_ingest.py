"""Encoders that send by SRT, called and calling, in front of a gateway and a media process."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from random import Random

import av
import pytest
from tests.free_ports import free_port
from tests.ingest.publishing import AiortcPublisher
from tests.ingest.srt_in import (
    PASSPHRASE,
    LossyWay,
    Program,
    SrtIn,
    ffmpeg,
    footage_with_sound,
    until,
)
from tests.ingest.test_srt_ts_feed import bare

from vms.common.ids import CameraId
from vms.ingest import CameraState
from vms.ingest.errors import PublisherPresent
from vms.media import Codec, GapReason, MediaKind
from vms.wire.srt import MESSAGE_BYTES, SrtGone, connect

pytestmark = pytest.mark.needs("ffmpeg", "libsrt", "srt-live-transmit")
STAGE = CameraId("stage")
Start = Callable[..., Awaitable[Program]]


@pytest.fixture
async def srt(tmp_path: Path) -> AsyncIterator[SrtIn]:
    system = SrtIn(tmp_path)
    await system.start()
    yield system
    await system.stop()


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts a program; it is killed after the test."""
    running: list[Program] = []

    async def start(*command: str) -> Program:
        running.append(await Program.start(*command))
        return running[-1]

    yield start
    for program in running:
        await program.end()


async def test_an_encoder_publishes_and_its_very_pictures_are_in_the_hub(
    srt: SrtIn, start: Start, footage: dict[str, Path]
) -> None:
    await srt.add("stage", "whip://publish")
    await until(lambda: srt.gateway.refuses(STAGE) is None)

    url = srt.publish_url("stage") + "&latency=1000000"  # in which a busy machine has to let both sides work
    await start(*ffmpeg(*footage_with_sound(footage["vtest"]), url=url))
    await srt.until_live("stage")
    await until(lambda: srt.pictures("stage") > 20)

    came = srt.kept[STAGE].pictures()
    with av.open(footage["vtest"]) as container:
        sent = [bare(bytes(each), Codec.H264) for each in container.demux(video=0) if each.size]
    assert [bare(unit.data, Codec.H264) for unit in came] == sent[: len(came)]
    assert any(unit.pts != unit.dts for unit in came), "it has B-frames"
    assert {track.codec for track in srt.ingest.hub(STAGE).tracks} == {Codec.H264, Codec.AAC}
    assert srt.kept[STAGE].gaps == []


async def test_one_publisher_has_the_place_and_the_next_gets_it_when_it_has_fallen_silent(
    srt: SrtIn, start: Start, footage: dict[str, Path]
) -> None:
    await srt.add("stage", "whip://publish")
    await until(lambda: srt.gateway.refuses(STAGE) is None)
    command = ffmpeg(
        "-stream_loop", "-1", "-i", str(footage["people"]), "-c", "copy", url=srt.publish_url("stage")
    )
    first = await start(*command)
    await srt.until_live("stage")

    second = await start(*command)
    await second.ended()
    assert srt.listener.refused["conflict"] == 1
    publisher = AiortcPublisher()
    with pytest.raises(PublisherPresent):
        await srt.publishers.offer(STAGE, await publisher.offer())
    await publisher.close()

    first.process.send_signal(signal.SIGSTOP)  # as if its network had gone: not a word
    await until(lambda: srt.gateway.refuses(STAGE) is None)
    before = srt.pictures("stage")
    await start(*command)
    await until(lambda: srt.pictures("stage") > before + 10)
    await srt.until_live("stage")
    assert [gap.reason for gap in srt.kept[STAGE].gaps] == [GapReason.CAMERA_LOST]


async def test_a_publisher_by_whip_has_the_place_against_those_by_srt(srt: SrtIn) -> None:
    await srt.add("stage", "whip://publish")
    await until(lambda: srt.gateway.refuses(STAGE) is None)
    publisher = AiortcPublisher()
    answer = await srt.publishers.offer(STAGE, await publisher.offer())
    await publisher.accept(answer.sdp)
    await srt.until_live("stage")

    await until(lambda: str(srt.gateway.refuses(STAGE)) == "1409")
    await srt.publishers.end(answer.session_id)
    await publisher.close()
    await until(lambda: srt.gateway.refuses(STAGE) is None)


async def test_a_wrong_passphrase_and_a_camera_that_is_no_place_are_refused(
    srt: SrtIn, start: Start, footage: dict[str, Path]
) -> None:
    await srt.add("stage", "whip://publish")
    await until(lambda: srt.gateway.refuses(STAGE) is None)
    source = ["-i", str(footage["people"]), "-c", "copy"]
    for url in (srt.publish_url("stage", "not-the-passphrase"), srt.publish_url("elsewhere")):
        await (await start(*ffmpeg(*source, url=url))).ended()

    assert srt.listener.refused["not_found"] == 1
    await until(lambda: srt.code("stage") == "no_publisher")
    assert srt.gateway.publishers == 0


async def test_bytes_that_are_no_transport_stream_close_the_publication_and_say_why(srt: SrtIn) -> None:
    await srt.add("stage", "whip://publish")
    await until(lambda: srt.gateway.refuses(STAGE) is None)
    noise = await connect(srt.poller, srt.listener.address, stream_id="publish:stage", passphrase=PASSPHRASE)
    random = Random(1)

    with suppress(SrtGone):
        while not noise.closed:
            noise.send(random.randbytes(MESSAGE_BYTES))
            await asyncio.sleep(0.001)

    await until(lambda: srt.code("stage") == "protocol_error", lambda: srt.reason("stage"))
    assert "MPEG" in srt.reason("stage")
    await until(lambda: srt.gateway.refuses(STAGE) is None, lambda: srt.reason("stage"))


async def test_an_encoder_that_listens_is_called_and_called_again(
    srt: SrtIn, start: Start, footage: dict[str, Path]
) -> None:
    port = free_port()
    listen = f"srt://127.0.0.1:{port}?mode=listener&passphrase={PASSPHRASE}&pbkeylen=32"
    command = ffmpeg(*footage_with_sound(footage["vtest"]), url=listen)
    encoder = await start(*command)
    await srt.add("dock", f"srt://127.0.0.1:{port}?passphrase={PASSPHRASE}&pbkeylen=32&latency=80")
    await srt.until_live("dock")
    assert {track.kind for track in srt.ingest.hub(CameraId("dock")).tracks} == set(MediaKind)

    await encoder.end()
    await until(lambda: srt.code("dock") in ("ended", "unreachable"))
    assert PASSPHRASE not in srt.reason("dock")
    before = srt.pictures("dock")
    await start(*command)
    await srt.until_live("dock")
    await until(lambda: srt.pictures("dock") > before)


async def test_what_a_network_loses_is_sent_again(srt: SrtIn, start: Start, footage: dict[str, Path]) -> None:
    loop = asyncio.get_running_loop()
    transport, way = await loop.create_datagram_endpoint(
        lambda: LossyWay(srt.listener.address, 20), local_addr=("127.0.0.1", 0)
    )
    port = transport.get_extra_info("sockname")[1]
    await srt.add("stage", "whip://publish")
    await until(lambda: srt.gateway.refuses(STAGE) is None)
    url = srt.publish_url("stage").replace(f":{srt.listener.address[1]}", f":{port}") + "&latency=1500000"
    source = ["-stream_loop", "-1", "-i", str(footage["people"]), "-c", "copy"]

    await start(*ffmpeg(*source, url=url))
    await srt.until_live("stage")
    await until(lambda: way.lost > 8)

    assert srt.kept[STAGE].gaps == []
    assert srt.ingest.status(STAGE).state is CameraState.LIVE
    came = [bare(unit.data, Codec.H264) for unit in srt.kept[STAGE].pictures()]
    with av.open(footage["people"]) as container:
        sent = [bare(bytes(each), Codec.H264) for each in container.demux(video=0) if each.size]
    assert came == sent[: len(came)]
    (pump,) = srt.gateway._pumps
    assert pump.connection.statistics().receive_delay_ms == 1500
    newest = srt.kept[STAGE].pictures()[-1]
    held_ns = newest.arrival_ns - newest.capture_ns + srt.clock.wall_ns() - srt.clock.monotonic_ns()
    assert held_ns > 1_200_000_000, "capture times do not count what SRT holds back"
    reception = {f.name: f.samples[0][1] for f in srt.gateway.metrics() if f.samples}
    assert reception["vms_srt_in_messages_lost"] == 0
    transport.close()


@pytest.mark.needs("gst-launch-1.0")
async def test_gstreamer_is_called_and_srt_live_transmit_calls(
    srt: SrtIn, start: Start, footage: dict[str, Path]
) -> None:
    gst, udp = free_port(), free_port()
    await start(
        "gst-launch-1.0", "-q", "videotestsrc", "is-live=true", "!", "video/x-raw,width=320,height=240,framerate=25/1",
        "!", "x264enc", "tune=zerolatency", "key-int-max=25", "!", "h264parse", "config-interval=-1",
        "!", "mpegtsmux", "alignment=7", "!", "srtsink", f"uri=srt://127.0.0.1:{gst}?mode=listener",
        f"passphrase={PASSPHRASE}",
    )  # fmt: skip
    await srt.add("dock", f"srt://127.0.0.1:{gst}?passphrase={PASSPHRASE}&latency=1000")
    await srt.add("stage", "whip://publish")
    await until(lambda: srt.gateway.refuses(STAGE) is None)
    source = ["-stream_loop", "-1", "-i", str(footage["people"]), "-c", "copy"]
    await start(
        "srt-live-transmit", "-q", f"udp://127.0.0.1:{udp}", srt.publish_url("stage", form="publish:")
    )
    await start(*ffmpeg(*source, url=f"udp://127.0.0.1:{udp}?pkt_size=1316"))

    for name in ("dock", "stage"):
        await srt.until_live(name)
    await until(lambda: srt.pictures("dock") > 30)

    (track,) = srt.ingest.hub(CameraId("dock")).tracks
    assert (track.codec, track.width, track.height) == (Codec.H264, 320, 240)
    assert srt.kept[CameraId("dock")].gaps == []


async def test_a_publisher_that_fell_silent_makes_room_for_another(
    srt: SrtIn, start: Start, footage: dict[str, Path]
) -> None:
    await srt.add("stage", "whip://publish")
    await until(lambda: srt.gateway.refuses(STAGE) is None)
    silent = await connect(srt.poller, srt.listener.address, stream_id="publish:stage", passphrase=PASSPHRASE)
    await until(lambda: srt.gateway.refuses(STAGE) is not None)
    await until(lambda: srt.gateway.refuses(STAGE) is None)

    source = ["-stream_loop", "-1", "-i", str(footage["people"]), "-c", "copy"]
    await start(*ffmpeg(*source, url=srt.publish_url("stage")))
    await srt.until_live("stage")
    await until(lambda: silent.closed)


async def test_an_encoder_that_wants_another_passphrase_is_told_as_unauthorized(
    srt: SrtIn, start: Start, footage: dict[str, Path]
) -> None:
    port = free_port()
    source = ["-stream_loop", "-1", "-i", str(footage["people"]), "-c", "copy"]
    await start(*ffmpeg(*source, url=f"srt://127.0.0.1:{port}?mode=listener&passphrase={PASSPHRASE}"))
    await srt.add("dock", f"srt://127.0.0.1:{port}?passphrase=some-other-secret")

    await until(lambda: srt.code("dock") == "unauthorized", lambda: srt.reason("dock"))
    assert "some-other-secret" not in srt.reason("dock")


async def test_the_srt_process_may_die_and_come_back(
    srt: SrtIn, start: Start, footage: dict[str, Path]
) -> None:
    port = free_port()
    source = ["-stream_loop", "-1", "-i", str(footage["people"]), "-c", "copy"]

    async def listen() -> None:
        while True:  # an encoder that listens for the next caller when one has gone
            await (await start(*ffmpeg(*source, url=f"srt://127.0.0.1:{port}?mode=listener"))).ended(600)

    listening = asyncio.create_task(listen())
    await srt.add("dock", f"srt://127.0.0.1:{port}")
    await srt.until_live("dock")

    await srt.kill()
    await until(lambda: srt.code("dock") is not None)
    await srt.start()
    await srt.until_live("dock")
    listening.cancel()
