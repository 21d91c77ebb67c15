"""Media processes, keepers and readers apart: each may die, and what the others do goes on."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from uuid import uuid4

import pytest
from tests.storage.processes import Child

from vms.bus.local import LocalServer
from vms.common.clock import NS, SystemClock
from vms.common.evidence_lock import EvidenceLock
from vms.common.ids import CameraId
from vms.config import VolumeConfig
from vms.format.hybrid import read_segment
from vms.media import Gap, GapReason
from vms.storage.catalog import Catalog
from vms.storage.errors import KeeperAway, StorageError, VolumeUnavailable
from vms.storage.identity import KnownVolumes
from vms.storage.keeper import VolumeKeeper
from vms.storage.keeper_control import KeeperClient, keeper_methods
from vms.storage.keeping import EventRange, HistoryQuestion, MediaReport
from vms.storage.layout import CATALOG_NAME
from vms.storage.library import RecordingLibrary
from vms.storage.retention_rule import RetentionRule
from vms.storage.volume import Volume

ALL = (0, 1 << 62)
PORCH, YARD = CameraId("porch"), CameraId("yard")
SYSTEM = "this-system"


class Machine:
    """One volume with its processes; the test reads it."""

    def __init__(self, directory: Path) -> None:
        self.volume = directory / "volume"
        self.socket = directory / "keeper-0.sock"
        self.library = RecordingLibrary([VolumeConfig(path=self.volume)], SystemClock())
        self._children: list[Child] = []

    def media(self, *cameras: str) -> Child:
        return self._child("media_child.py", SYSTEM, *(cameras or ("porch",)))

    async def keeper(self) -> Child:
        child = self._child("keeper_child.py", SYSTEM)
        await until(lambda: "ready" in child.lines, "the keeper")
        return child

    def _child(self, script: str, *arguments: str) -> Child:
        child = Child(script, self.volume, self.socket, *arguments)
        self._children.append(child)
        return child

    def rows(self) -> set[Path]:
        """The files that have a row."""
        try:
            catalog = Catalog(self.volume / CATALOG_NAME, self.volume, read_only=True)
        except StorageError:
            return set()
        try:
            return {segment.path for camera in (PORCH, YARD) for segment in catalog.overlapping(camera, *ALL)}
        finally:
            catalog.close()

    def files(self) -> set[Path]:
        return set(self.volume.rglob("*.mp4"))

    async def closed(self, camera: CameraId = PORCH) -> int:
        return sum(segment.closed for segment in await self.library.segments(camera, *ALL))

    async def stop(self) -> None:
        for child in self._children:
            if child.process.poll() is None:
                child.kill()
        await self.library.stop()


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    machine = Machine(tmp_path)
    yield machine
    await machine.stop()


async def until(condition: Callable[[], bool | Awaitable[bool]], what: str, timeout_s: float = 60.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while True:
        holds = condition()
        if holds if isinstance(holds, bool) else await holds:
            return
        assert time.monotonic() < deadline_s, f"waited {timeout_s} s for {what}"
        await asyncio.sleep(0.02)


async def seconds(media: Child, count: float) -> None:
    """Let a media process record."""
    wanted = len(media.given) + round(count * 25)
    await until(lambda: len(media.given) >= wanted, "pictures")


async def test_a_killed_writer_loses_at_most_a_second_and_its_file_gets_its_row(machine: Machine) -> None:
    await machine.keeper()
    media = machine.media("porch", "yard")
    await seconds(media, 5)
    media.kill()
    given = media.given
    for camera in (PORCH, YARD):
        segments = await machine.library.segments(camera, *ALL)
        assert segments[0].start_ns <= given[0] + NS // 10
        assert segments[-1].end_ns >= given[-1] - NS, "a reader does not wait for the repair"
        assert await machine.library.coverage(camera, *ALL) == [(segments[0].start_ns, segments[-1].end_ns)]
    await until(lambda: machine.rows() == machine.files(), "rows of all files")
    for camera in (PORCH, YARD):
        assert all(segment.closed for segment in await machine.library.segments(camera, *ALL))
    for path in machine.files():
        data = path.read_bytes()
        assert read_segment(lambda offset, size, data=data: data[offset : offset + size], len(data)).closed


async def test_a_keeper_that_comes_later_leaves_alone_what_is_being_written(machine: Machine) -> None:
    media = machine.media()
    await seconds(media, 3)
    keeper = await machine.keeper()
    await seconds(media, 1)
    media.stop()
    await until(lambda: machine.rows() == machine.files(), "rows of all files")
    keeper.stop()
    assert not [line for line in keeper.lines if "completed" in line], "it repaired what was being written"
    segments = await machine.library.segments(PORCH, *ALL)
    assert await machine.library.coverage(PORCH, *ALL) == [(segments[0].start_ns, segments[-1].end_ns)]
    assert segments[-1].end_ns >= media.given[-1]


async def test_a_killed_keeper_costs_nothing_and_learns_everything_when_it_is_back(machine: Machine) -> None:
    keeper = await machine.keeper()
    media = machine.media()
    await seconds(media, 3)
    keeper.kill()
    rows = machine.rows()
    media.say()
    await seconds(media, 5)
    segments = await machine.library.segments(PORCH, *ALL)
    assert sum(segment.closed and segment.path not in rows for segment in segments) >= 1
    ((start_ns, end_ns),) = await machine.library.coverage(PORCH, *ALL)
    assert start_ns == segments[0].start_ns and end_ns >= segments[-1].end_ns  # it is still being written
    await machine.keeper()

    async def gap_is_there() -> bool:
        gaps = await machine.library.gaps(PORCH, *ALL)
        return [gap.reason for gap in gaps] == [GapReason.PACKET_LOSS]

    await until(gap_is_there, "the gap")
    media.stop()
    await until(lambda: machine.rows() == machine.files(), "rows of all files")
    (first, *_, last) = await machine.library.segments(PORCH, *ALL)
    assert await machine.library.coverage(PORCH, *ALL) == [(first.start_ns, last.end_ns)]


async def test_recording_and_reading_need_no_keeper(machine: Machine) -> None:
    media = machine.media()
    await seconds(media, 5)
    assert await machine.closed() >= 1
    (*_, last) = await machine.library.segments(PORCH, *ALL)
    with await machine.library.open(last.id) as opened:
        assert opened.file.fragments
    assert (
        await RecordingLibrary([VolumeConfig(path=machine.volume)], SystemClock()).segment(last.id)
    ).path == last.path
    media.stop()
    assert machine.rows() == set()
    await machine.keeper()
    assert machine.rows() == machine.files()


async def test_two_media_processes_share_a_volume(machine: Machine) -> None:
    await machine.keeper()
    first, second = machine.media("porch"), machine.media("yard")
    await seconds(second, 3)
    first.kill()
    await seconds(second, 3)
    second.stop()
    await until(lambda: machine.rows() == machine.files(), "rows of all files")
    for camera, media in ((PORCH, first), (YARD, second)):
        (run,) = await machine.library.coverage(camera, *ALL)
        assert run[0] <= media.given[0] + NS // 10
        assert run[1] >= media.given[-1] - NS


async def test_a_media_process_that_is_back_says_how_long_it_was_away(machine: Machine) -> None:
    await machine.keeper()
    media = machine.media()
    await seconds(media, 3)
    media.kill()
    again = machine.media()
    await seconds(again, 2)

    async def gap_is_there() -> bool:
        gaps = await machine.library.gaps(PORCH, *ALL)
        return any(gap.end_ns is not None for gap in gaps)

    await until(gap_is_there, "the gap")
    (gap,) = await machine.library.gaps(PORCH, *ALL)
    assert gap.reason is GapReason.SYSTEM_STOPPED
    assert media.given[-1] - NS <= gap.start_ns <= media.given[-1] + NS
    assert gap.end_ns is not None
    assert 0 <= again.given[0] - gap.end_ns + NS // 10 <= NS


async def test_a_volume_is_one_systems_and_has_one_keeper(machine: Machine) -> None:
    await machine.keeper()
    media = machine.media()
    await seconds(media, 1)
    config = VolumeConfig(path=machine.volume)
    with pytest.raises(VolumeUnavailable, match="another running system"):
        Volume(config, SystemClock(), KnownVolumes(None), "other-system").open()
    second = VolumeKeeper(config, SystemClock(), system_id=SYSTEM)
    await second.start()
    assert "has a keeper already" in str(second.volume.error)
    await second.stop()
    await seconds(media, 3)
    assert len(await machine.library.segments(PORCH, *ALL)) >= 2


async def test_a_keeper_answers_over_its_control_socket_as_in_its_process(tmp_path: Path) -> None:
    keeper = VolumeKeeper(VolumeConfig(path=tmp_path / "volume"), SystemClock(), system_id=SYSTEM)
    server = LocalServer(tmp_path / "keeper-0.sock", keeper_methods(keeper))
    client = KeeperClient(tmp_path / "keeper-0.sock")
    report = MediaReport("media-0", 1000, 5000)
    with pytest.raises(KeeperAway):
        await client.exchange(report)
    await server.start()
    with pytest.raises(StorageError, match="not open"):
        await client.put_gaps([(PORCH, Gap(5, None, GapReason.CAMERA_LOST))])
    await keeper.start()
    await keeper.recovered.wait()
    lasting = Gap(5 * NS, None, GapReason.CAMERA_LOST, "no answer")
    await client.put_gaps([(PORCH, lasting), (YARD, Gap(7, 9, GapReason.OVERRUN))])
    rules = {PORCH: RetentionRule(77 * NS, 99 * NS, 5 * NS, None, 1 << 40), YARD: RetentionRule(5, 5, 0, 8)}
    await client.put_retentions(rules)
    await client.put_event_ranges([EventRange(PORCH, 5 * NS, 8 * NS, "motion")])
    locks = [
        EvidenceLock(uuid4(), PORCH, 5 * NS, 8 * NS, "burglary", "M. Silva", 9),
        EvidenceLock(uuid4(), YARD, 5 * NS, 8 * NS, "burglary", "M. Silva", 9, 10, "A. Costa", "closed"),
    ]
    await client.put_locks(locks, 7)
    assert await client.settle(["porch/2026-11-23/14-05-00.000Z-main.mp4", "../../etc/passwd"]) == [
        "porch/2026-11-23/14-05-00.000Z-main.mp4",
        "../../etc/passwd",
    ]
    history = await client.history(HistoryQuestion({PORCH: 9 * NS, YARD: 9 * NS}, {PORCH: 5 * NS}))
    assert history == await keeper.history(HistoryQuestion({PORCH: 9 * NS, YARD: 9 * NS}, {PORCH: 5 * NS}))
    assert history.lasting == [(PORCH, lasting)]
    state = await client.exchange(report)
    assert (state.error, state.used_bytes, state.recovered) == ("", 1000, True)
    assert await keeper.volume.catalog.run(lambda catalog: catalog.retentions()) == rules
    ranges = await keeper.volume.catalog.run(lambda catalog: catalog.event_ranges(PORCH, 0, 9 * NS))
    assert ranges == [EventRange(PORCH, 5 * NS, 8 * NS, "motion")]
    assert (keeper.volume.locks.holding, keeper.volume.locks.revision) == (locks[:1], 7)
    assert await client.state() == await keeper.state()
    client.close()
    await server.stop()
    await keeper.stop()
