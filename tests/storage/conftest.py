"""A storage service on a real directory under a clock that the test moves."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.storage.scripted_camera import NOON_NS
from tests.storage.seaweedfs import s3_server
from tests.storage.tiered import make

from vms.common.clock import ManualClock
from vms.config import VolumeConfig
from vms.storage.service import StorageService

__all__ = ["make", "s3_server"]  # fixtures of their own modules

Start = Callable[..., Any]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON_NS)


@pytest.fixture
async def start(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Start]:
    """``await start()`` gives a running service; options override. It is stopped at the end."""
    async with AsyncExitStack() as stack:

        async def begin(**options: Any) -> StorageService:
            volumes = options.pop("volumes", [VolumeConfig(path=tmp_path / "volume", quota=1 << 30)])
            service = StorageService(
                volumes, options.pop("segment_s", 10.0), options.pop("clock", clock), **options
            )
            await service.start()
            await service.recovered()
            stack.push_async_callback(service.stop)
            return service

        yield begin
