"""All roles in one process: signals and limits."""

import asyncio
import os
import resource
import signal
from pathlib import Path

import pytest

from vms.app import processes, single
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


def test_the_process_may_open_as_many_files_as_it_is_allowed() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        processes.allow_many_files()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
