from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.gateway.samples import Changes

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
