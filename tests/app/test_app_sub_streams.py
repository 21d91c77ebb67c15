"""The whole system in one process: a camera with a main and a sub stream, watched by RTSP players."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.free_ports import free_port
from tests.wire.rtp_packets import Recorder

from vms.app.single import System
from vms.common.camera import Transport
from vms.common.clock import SystemClock
from vms.common.errors import VmsError
from vms.common.source_url import SourceUrl
from vms.config import Config, HttpConfig, RtspConfig, WebRtcConfig
from vms.format.codecs import video_track
from vms.virtual_camera import CameraOptions, VirtualCamera, VirtualCameraServer
from vms.wire.errors import RequestRefused
from vms.wire.rtsp.client import RtspSession

PASSWORD = "Zq-4417-secret"


@pytest.fixture
async def camera() -> AsyncIterator[VirtualCamera]:
    small = {"width": 640, "height": 360, "frames_per_second": 10, "bitrate": 300_000}
    sub = {"sub_width": 320, "sub_height": 180, "sub_frames_per_second": 5, "sub_bitrate": 100_000}
    options = CameraOptions(pattern=True, sub=True, user="u", password=PASSWORD, **small, **sub)  # type: ignore[arg-type]
    server = VirtualCameraServer(options)
    await server.start()
    yield server.cameras[0]
    await server.stop()


@pytest.fixture
async def system(
    tmp_path: Path, camera: VirtualCamera
) -> AsyncIterator[tuple[System, httpx.AsyncClient, str]]:
    """A system with the camera in it, its API, and where it serves RTSP players."""
    port = free_port()
    config = Config(
        data_dir=tmp_path / "data",
        http=HttpConfig(port=0),
        webrtc=WebRtcConfig(port=0),
        rtsp=RtspConfig(port=port),
    )
    system = System(config)
    await system.start()
    assert camera.sub_source is not None
    body = {
        "id": "porch",
        "name": "Porch",
        "source": camera.source.reveal(),
        "sub_source": camera.sub_source.reveal(),
        "record": "off",
    }
    async with httpx.AsyncClient(base_url=system.url) as client:
        made = await client.post("/api/v1/cameras", json=body)
        assert made.status_code == 201, made.text
        assert PASSWORD not in made.text
        yield system, client, f"rtsp://127.0.0.1:{port}/porch"
    await system.stop()


async def shown(client: httpx.AsyncClient, until: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The camera's document, once it is so."""
    async with asyncio.timeout(30):
        while True:
            answer = await client.get("/api/v1/cameras/porch")
            assert PASSWORD not in answer.text
            document: dict[str, Any] = answer.json()
            if until(document):
                return document
            await asyncio.sleep(0.002)


async def play(url: str) -> tuple[RtspSession, Recorder, int]:
    """A session that plays, what it receives, and the width of its pictures."""
    session = await RtspSession.open(SourceUrl(url), transport=Transport.TCP, clock=SystemClock())
    line, recorder = session.media[0], Recorder()
    assert line.codec is not None
    await session.setup(line, recorder)
    await session.play()
    return session, recorder, video_track(1, line.codec, line.parameter_sets).width


async def test_both_streams_are_served_and_sub_is_pulled_only_while_it_is_watched(
    system: tuple[System, httpx.AsyncClient, str],
) -> None:
    _, client, url = system
    before = await shown(client, lambda it: it["state"] == "live")
    assert before["sub"]["state"] == "stopped"
    session, recorder, width = await play(f"{url}/sub")
    async with asyncio.timeout(20):
        while len(recorder.units) < 3:
            await asyncio.sleep(0.02)
    assert width == 320
    live = await shown(client, lambda it: it["sub"]["state"] == "live" and it["sub"]["fps"] is not None)
    assert (live["width"], live["sub"]["width"], live["sub"]["codec"]) == (640, 320, "h264")
    await session.close()
    session, _, width = await play(f"{url}/main")
    assert width == 640
    await session.close()


async def test_players_of_a_sub_stream_that_is_taken_away_are_told_goodbye_and_those_of_main_go_on(
    system: tuple[System, httpx.AsyncClient, str],
) -> None:
    _, client, url = system
    await shown(client, lambda it: it["state"] == "live")
    sub, main = await play(f"{url}/sub"), await play(url)

    answer = await client.patch("/api/v1/cameras/porch", json={"sub_source": None})

    assert answer.json()["sub_source"] is None
    async with asyncio.timeout(20):
        with suppress(VmsError):
            await sub[0].wait()
    with pytest.raises(RequestRefused):
        await play(f"{url}/sub")
    had = len(main[1].units)
    async with asyncio.timeout(20):
        while len(main[1].units) < had + 5:
            await asyncio.sleep(0.02)
    for session, *_ in (sub, main):
        await session.close()


async def test_a_player_that_asks_for_a_key_picture_gets_one_from_the_camera(
    system: tuple[System, httpx.AsyncClient, str],
) -> None:
    _, client, url = system
    await shown(client, lambda it: it["state"] == "live")
    session, recorder, _ = await play(url)
    async with asyncio.timeout(20):
        while not recorder.units:
            await asyncio.sleep(0.02)
        session.request_key_picture()
        asked = re.compile(r'^vms_camera_key_requests_total\{[^}]*camera="porch"[^}]*\} 1\.0$', re.MULTILINE)
        while not asked.search((await client.get("/metrics")).text):
            await asyncio.sleep(0.05)
    await session.close()


async def test_a_camera_whose_source_was_changed_is_not_shown_as_the_old_source_was(
    system: tuple[System, httpx.AsyncClient, str], camera: VirtualCamera
) -> None:
    _, client, _ = system
    nobody = f"rtsp://127.0.0.1:{free_port()}/nobody"
    for _ in range(5):
        await shown(client, lambda it: it["state"] == "live")
        # At once: what the process said last is younger than the time that it keeps still in between.
        answer = await client.patch("/api/v1/cameras/porch", json={"source": nobody})
        assert answer.status_code == 200, answer.text
        after = (await client.get("/api/v1/cameras/porch")).json()
        assert [each["state"] == "live" for each in (answer.json(), after)] == [False, False]
        await client.patch("/api/v1/cameras/porch", json={"source": camera.source.reveal()})
