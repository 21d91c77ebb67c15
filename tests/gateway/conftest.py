from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.gateway.samples import Changes
from tests.gateway.system import System

from vms.common.clock import ManualClock
from vms.gateway.registry import CameraRegistry


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def changes() -> Changes:
    return Changes()


@pytest.fixture
async def registry(tmp_path: Path, clock: ManualClock, changes: Changes) -> AsyncIterator[CameraRegistry]:
    registry = CameraRegistry(tmp_path, clock, changes)
    await registry.start()
    yield registry
    await registry.stop()


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    system = System(tmp_path)
    yield system
    await system.stop()
