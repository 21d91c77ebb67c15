"""All roles in one process: signals and limits."""

import asyncio
import os
import resource
import signal
from pathlib import Path

import httpx
import pytest

from vms.app import processes, single
from vms.common.camera import Camera
from vms.config import Config, HttpConfig, WebRtcConfig


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_while_the_system_starts_ends_it_properly(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = []

    class Slow(single.System):
        async def start(self) -> None:
            os.kill(os.getpid(), number)
            await asyncio.sleep(0.01)
            await super().start()

        async def stop(self) -> None:
            await super().stop()
            stopped.append(self)

    monkeypatch.setattr(single, "System", Slow)
    config = Config(data_dir=tmp_path / "data", http=HttpConfig(port=0), webrtc=WebRtcConfig(port=0))
    await asyncio.wait_for(single.serve(config), 20)
    assert len(stopped) == 1


async def test_what_happened_is_in_the_journal_once_also_after_the_next_start(tmp_path: Path) -> None:
    camera = Camera.model_validate(
        {"id": "porch", "name": "Porch", "source": "rtsp://127.0.0.1:1/s", "record": "off"}
    )
    config = Config(
        data_dir=tmp_path / "data",
        http=HttpConfig(port=0),
        webrtc=WebRtcConfig(port=0),
        cameras=(camera,),
    )
    for starts in (1, 2):
        system = single.System(config)
        await system.start()
        async with httpx.AsyncClient(base_url=system.url) as client, asyncio.timeout(20):
            while len(events := await _failures_of("porch", client)) < starts:
                await asyncio.sleep(0.02)
            assert "vms_journal_written_total" in (await client.get("/metrics")).text
        await system.stop()
        assert len({event["id"] for event in events}) == len(events) == starts
        assert events[0]["facts"] == {"reason_code": "unreachable"}


async def _failures_of(camera: str, client: httpx.AsyncClient) -> list[dict[str, object]]:
    answer = await client.get("/api/v1/events", params={"kind": "camera_failed", "camera": camera})
    events: list[dict[str, object]] = answer.json()["events"]
    return events


def test_the_process_may_open_as_many_files_as_it_is_allowed() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        processes.allow_many_files()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
