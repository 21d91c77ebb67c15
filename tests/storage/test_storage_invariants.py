"""Whatever is recorded, killed, torn, recovered and deleted, in whatever order: catalog and disk agree."""

import asyncio
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.storage.scripted_camera import NOON_NS, ScriptedCamera, camera, written

from vms.common.clock import ManualClock
from vms.common.ids import CameraId
from vms.config import VolumeConfig
from vms.format.hybrid import read_segment
from vms.storage.layout import UNREADABLE_SUFFIX
from vms.storage.segment import Segment
from vms.storage.service import StorageService

NAMES = ("porch", "yard")
ALL = (0, 1 << 62)
STEPS = st.one_of(
    st.tuples(st.just("play"), st.sampled_from(NAMES), st.floats(0.04, 4)),
    st.tuples(st.just("disconnect"), st.sampled_from(NAMES), st.floats(0, 5)),
    st.tuples(st.just("jump"), st.sampled_from(NAMES), st.floats(-5, 5)),
    st.tuples(st.just("lose"), st.sampled_from(NAMES), st.integers(1, 30)),
    st.tuples(st.just("stop"), st.sampled_from(NAMES), st.none()),
    st.tuples(st.just("expire"), st.sampled_from(NAMES), st.floats(1, 30)),
    st.tuples(st.just("kill"), st.none(), st.one_of(st.none(), st.floats(0, 1))),
    st.tuples(st.just("restart"), st.none(), st.none()),
)


class World:
    """A system, its disk, and what the test knows of both."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._runs = 0
        self.clock = ManualClock(NOON_NS)
        self.path = directory / "volume"
        self.cameras: dict[str, ScriptedCamera] = {}

    async def begin(self) -> None:
        # model_construct: below the least quota that a configuration allows, so that it is reached
        volume = VolumeConfig.model_construct(path=self.path, quota=250_000)
        self.service = StorageService([volume], 3.0, self.clock)
        await self.service.start()
        self.cameras = {name: ScriptedCamera(self.clock, name, audio=name == "yard") for name in NAMES}

    async def do(self, what: str, name: str | None, amount: float | None) -> None:
        if name is None:
            await (self.kill(amount) if what == "kill" else self.restart())
            return
        scripted = self.cameras[name]
        match what:
            case "play":
                self.service.record(scripted.camera, scripted.hub)
                scripted.play(amount or 1)
            case "disconnect":
                scripted.disconnect()
                scripted.reconnect(amount or 0)
            case "jump":
                scripted.jump(amount or 0)
            case "lose":
                scripted.lose_packets(int(amount or 1))
            case "stop":
                await self.service.stop_recording(CameraId(name))
            case "expire":
                self.service.keep(camera(name, retention_s=amount or 1))
                await written(self.service)
                await self.service._keepers[0].retention.enforce()

    async def kill(self, torn: float | None) -> None:
        """The disk as it is at this moment goes on; the newest open file may be torn further."""
        await written(self.service)
        self._runs += 1
        copy = self._directory / f"run-{self._runs}"
        shutil.copytree(self.path, copy)
        open_files = [
            live.path.relative_to(self.path) for live in self.service._recording._live() if live.created
        ]
        if torn is not None and open_files:
            victim = copy / open_files[-1]
            with victim.open("r+b") as file:
                file.truncate(int(victim.stat().st_size * torn))
        await self.service.stop()
        self.path = copy
        self.clock.advance(10)
        await self.begin()

    async def restart(self) -> None:
        await self.service.stop()
        self.clock.advance(10)
        await self.begin()

    async def check(self) -> None:
        await written(self.service)
        segments = [one for name in NAMES for one in await self.service.segments(CameraId(name), *ALL)]
        for segment in segments:
            self._check_segment(segment)
        found = {path for path in self.path.rglob("*/*/*") if path.is_file()}
        live = {each.path for each in self.service._recording._live()}
        known = {segment.path for segment in segments}
        assert known <= found, "in the catalog and not on the disk"
        assert found <= known | live, "on the disk and not accounted for"
        assert not [path for path in found if path.name.endswith(UNREADABLE_SUFFIX)]
        volume = self.service._keepers[0].volume
        closed = sum(segment.size_bytes for segment in segments if segment.closed)
        assert volume.closed_bytes == closed

    def _check_segment(self, segment: Segment) -> None:
        data = segment.path.read_bytes()
        file = read_segment(lambda offset, size: data[offset : offset + size], len(data))
        assert file.closed == segment.closed
        assert file.identity.segment_id == segment.id
        assert segment.start_ns < segment.end_ns
        if segment.closed:
            assert len(data) == segment.size_bytes
            assert max(fragment.end_ns for fragment in file.fragments) == segment.end_ns

    async def check_gaps(self) -> None:
        for name in NAMES:
            gaps = await self.service.gaps(CameraId(name), *ALL)
            assert sum(gap.end_ns is None for gap in gaps) <= 1
            assert all(gap.end_ns is None or gap.end_ns >= gap.start_ns for gap in gaps)


@settings(max_examples=25, deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=14))
def test_catalog_and_disk_agree_after_any_history(
    script: list[tuple[str, str | None, float | None]],
) -> None:
    async def run(directory: Path) -> None:
        world = World(directory)
        await world.begin()
        try:
            for what, name, amount in script:
                await world.do(what, name, amount)
                await world.check()
            await world.restart()
            await world.check()
            await world.check_gaps()
        finally:
            await world.service.stop()

    with TemporaryDirectory() as directory:
        asyncio.run(run(Path(directory)))
