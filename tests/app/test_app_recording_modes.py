"""The whole system in one process: an event that an integrator raises is recorded, with what was before it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from vms.app.single import System
from vms.common.clock import NS, parse_rfc3339, rfc3339
from vms.config import Config, HttpConfig, RtspConfig, WebRtcConfig
from vms.virtual_camera import CameraOptions, VirtualCameraServer


@pytest.fixture
async def camera() -> AsyncIterator[str]:
    server = VirtualCameraServer(
        CameraOptions(pattern=True, width=320, height=180, frames_per_second=10, bitrate=100_000)
    )
    await server.start()
    yield server.urls[0]
    await server.stop()


async def until_state(client: httpx.AsyncClient, state: str) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while True:
            found: dict[str, Any] = (await client.get("/api/v1/cameras/porch")).json()
            if found.get("recording_state") == state:
                return found
            await asyncio.sleep(0.05)


async def test_an_event_is_recorded_with_the_seconds_before_it(tmp_path: Path, camera: str) -> None:
    config = Config(
        data_dir=tmp_path / "data",
        http=HttpConfig(port=0),
        webrtc=WebRtcConfig(port=0),
        rtsp=RtspConfig(port=0),
    )
    system = System(config)
    await system.start()
    try:
        async with httpx.AsyncClient(base_url=system.url) as client:
            body = {
                "id": "porch",
                "name": "Porch",
                "source": camera,
                "record": "events",
                "events": {"kinds": ["motion"], "pre_roll": "3s", "post_roll": "2s"},
            }
            assert (await client.post("/api/v1/cameras", json=body)).status_code == 201
            await until_state(client, "recording")  # what happened before it was here is not known
            await until_state(client, "waiting_event")
            await asyncio.sleep(4)  # a pre-roll takes as long as it is
            raised = await client.post("/api/v1/events", json={"kind": "motion", "camera_id": "porch"})
            assert raised.status_code == 202, raised.text
            (event,) = [each for each in (await _events(client, "motion")) if each["camera"] == "porch"]
            await until_state(client, "recording")
            await until_state(client, "waiting_event")
            at_ns = parse_rfc3339(event["at"])
            recorded = (
                await client.get(
                    "/api/v1/cameras/porch/recordings",
                    params={"start": rfc3339(at_ns - 3600 * NS), "end": rfc3339(at_ns + 3600 * NS)},
                )
            ).json()
            _, segment = recorded["segments"]
            assert 2.9 <= (at_ns - parse_rfc3339(segment["start"])) / 1e9 <= 6
            assert (parse_rfc3339(segment["end"]) - at_ns) / 1e9 >= 1.9
    finally:
        await system.stop()


async def test_what_an_event_wanted_is_recorded_also_after_a_restart(tmp_path: Path, camera: str) -> None:
    config = Config(
        data_dir=tmp_path / "data",
        http=HttpConfig(port=0),
        webrtc=WebRtcConfig(port=0),
        rtsp=RtspConfig(port=0),
    )
    body = {
        "id": "porch",
        "name": "Porch",
        "source": camera,
        "record": "events",
        "events": {"kinds": ["motion"], "pre_roll": "1s", "post_roll": "3s"},
    }
    for first in (True, False):
        system = System(config)
        await system.start()
        try:
            async with httpx.AsyncClient(base_url=system.url) as client:
                if first:
                    assert (await client.post("/api/v1/cameras", json=body)).status_code == 201
                    await until_state(client, "recording")
                    await until_state(client, "waiting_event")
                    event = {"kind": "motion", "camera_id": "porch"}
                    assert (await client.post("/api/v1/events", json=event)).status_code == 202
                await until_state(client, "recording")
        finally:
            await system.stop()


async def _events(client: httpx.AsyncClient, kind: str) -> list[dict[str, Any]]:
    async with asyncio.timeout(20):
        while True:
            found: list[dict[str, Any]] = (await client.get("/api/v1/events", params={"kind": kind})).json()[
                "events"
            ]
            if found:
                return found
            await asyncio.sleep(0.05)
