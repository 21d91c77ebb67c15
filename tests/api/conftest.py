from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from tests.api.stand_ins import NOW_NS, Backend, Status, porch

from vms.bus.memory import MemoryBus
from vms.common.clock import ManualClock
from vms.gateway.counters import GatewayCounters
from vms.gateway.database import Database
from vms.gateway.evidence import EvidenceDesk
from vms.gateway.evidence_client import BookmarkClient, LockClient
from vms.gateway.registry import CameraRegistry
from vms.proto.subjects import SITE


@pytest.fixture
async def backend(tmp_path: Path) -> AsyncIterator[Backend]:
    """A registry with the camera ``porch`` made by the API and ``gate`` managed by the file."""
    clock = ManualClock(NOW_NS)
    registry = CameraRegistry(tmp_path / "data", clock)
    await registry.start((porch(id="gate", name="Gate"),))
    await registry.create(porch())
    backend = Backend(registry, clock, tmp_path / "data")
    backend.streams.statuses["porch"] = Status()
    bus = MemoryBus()
    await bus.start()
    desk = EvidenceDesk(bus, clock, SITE, lambda: _database(registry), GatewayCounters())
    await desk.start()
    backend.locks, backend.bookmarks = LockClient(bus), BookmarkClient(bus)
    yield backend
    await desk.stop()
    await bus.stop()
    await registry.stop()


@asynccontextmanager
async def _database(registry: CameraRegistry) -> AsyncIterator[Database]:
    yield registry.database


@pytest.fixture
async def client(backend: Backend) -> AsyncIterator[httpx.AsyncClient]:
    async with backend.client() as client:
        yield client
