from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from tests.api.stand_ins import NOW_NS, Backend, Status, porch

from vms.common.clock import ManualClock
from vms.gateway.registry import CameraRegistry


@pytest.fixture
async def backend(tmp_path: Path) -> AsyncIterator[Backend]:
    """A registry with the camera ``porch`` made by the API and ``gate`` managed by the file."""
    clock = ManualClock(NOW_NS)
    registry = CameraRegistry(tmp_path / "data", clock)
    await registry.start((porch(id="gate", name="Gate"),))
    await registry.create(porch())
    backend = Backend(registry, clock, tmp_path / "data")
    backend.streams.statuses["porch"] = Status()
    yield backend
    await registry.stop()


@pytest.fixture
async def client(backend: Backend) -> AsyncIterator[httpx.AsyncClient]:
    async with backend.client() as client:
        yield client
