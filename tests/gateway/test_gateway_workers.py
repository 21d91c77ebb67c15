"""Who is taken for gone, and what the gateway then does with their cameras."""

import asyncio
from pathlib import Path

import pytest
from tests.gateway.samples import make_camera
from tests.gateway.system import NODE, System, until
from tests.gateway.unsteady_bus import UnsteadyBus

from vms.common.clock import ManualClock
from vms.common.errors import NotFound
from vms.common.ids import CameraId
from vms.gateway.placement import GRACE_S
from vms.gateway.workers import SILENT_S, MediaWorkers
from vms.proto.camera_pb2 import CameraStatus
from vms.proto.worker_pb2 import WorkerStatus

PORCH = CameraId("porch")


def status(worker: str, node: str = NODE, **facts: object) -> WorkerStatus:
    return WorkerStatus(worker=worker, role="media", node=node, **facts)  # type: ignore[arg-type]


def gone(workers: MediaWorkers) -> dict[str, float | None]:
    return {worker.name: worker.gone_s for worker in workers.measured()}


def test_silence_counts_only_while_there_is_a_bus_to_hear_by() -> None:
    clock = ManualClock()
    workers = MediaWorkers(clock, NODE, ["a", "b"])
    clock.advance(100)
    workers.look(connected=False)
    assert gone(workers) == {"a": None, "b": None}
    workers.look(connected=True)
    clock.advance(SILENT_S)
    workers.heard(status("a"))
    clock.advance(0.1)
    workers.look(connected=True)
    assert gone(workers) == {"a": None, "b": 0.0}
    clock.advance(2)
    assert gone(workers)["b"] == 2.0
    workers.look(connected=False)
    assert gone(workers) == {"a": None, "b": None}


def test_a_pause_of_the_gateway_itself_makes_nobody_lose_cameras() -> None:
    clock = ManualClock()
    workers = MediaWorkers(clock, NODE, ["a"])
    workers.look(connected=True)
    workers.heard(status("a"))
    clock.advance(3600)
    workers.look(connected=True)
    assert gone(workers) == {"a": 0.0}, "gone since it was noticed, not since it was heard last"
    workers.heard(status("a"))
    assert gone(workers) == {"a": None}


def test_a_reconnection_gives_everybody_time_to_be_heard() -> None:
    clock = ManualClock()
    workers = MediaWorkers(clock, NODE, ["a"])
    workers.look(connected=True)
    clock.advance(SILENT_S + 1)
    workers.listen()
    workers.look(connected=True)
    assert gone(workers) == {"a": None}


def test_a_worker_that_this_machine_has_no_more_does_not_exist_though_it_may_still_be_heard() -> None:
    workers = MediaWorkers(ManualClock(), NODE, ["a", "b"])
    workers.configure(["a", "c"])
    workers.heard(status("b"))
    workers.heard(status("far", "there"))
    workers.heard(WorkerStatus(worker="stream-0", role="stream", node=NODE))
    workers.expect("b", NODE)
    workers.expect("farther", "there")
    assert gone(workers).keys() == {"a", "c", "far", "farther"}
    assert workers.nodes() == {"there"}


def test_a_worker_of_another_machine_is_forgotten_after_an_hour() -> None:
    clock = ManualClock()
    workers = MediaWorkers(clock, NODE, ["a"])
    workers.heard(status("far", "there"))
    for _ in range(3):
        workers.look(connected=True)
        clock.advance(1900)
    workers.look(connected=True)
    assert gone(workers).keys() == {"a"}


def test_loads_are_those_of_the_newest_status() -> None:
    workers = MediaWorkers(ManualClock(), NODE, ["a"])
    live = CameraStatus(camera_id="porch", bitrate=3_000_000, revision=17)
    connecting = CameraStatus(camera_id="gate", revision=18)
    workers.heard(status("a", cpu_share=0.25, cameras=[live, connecting]))
    [worker] = workers.measured()
    assert (worker.cpu_share, worker.measured) == (0.25, {PORCH: 3e6})
    assert workers.bitrates == {PORCH: 3e6}
    assert workers.highest_revision == 18
    workers.saw_revision(2**64 - 1)
    assert workers.highest_revision == 18, "no revision of this system"
    workers.forget_cameras({})
    assert workers.bitrates == {}


async def test_cameras_of_a_dead_media_process_move_after_the_grace_time_and_stay(tmp_path: Path) -> None:
    clock = ManualClock()
    system = System(tmp_path, clock=clock)
    await system.start([make_camera(f"camera-{number}") for number in range(4)])
    await until(lambda: len(system.running()) == 4)
    assert system.gateway is not None
    before = system.running()

    async def hear(*alive: str) -> None:
        for worker in alive:
            system.say_alive(worker)
        await asyncio.sleep(0)
        await system.gateway.look()  # type: ignore[union-attr]

    await system.agents["media-0"].stop()  # it dies
    system.media["media-0"].cameras.clear()
    for seconds in (SILENT_S + 0.1, GRACE_S - 0.1):
        clock.advance(seconds)
        await hear("media-1")
    assert set(system.running().values()) == {"media-1"}
    assert len(system.running()) == 2, "it may be back in a moment"
    clock.advance(0.2)
    await hear("media-1")
    await until(lambda: len(system.running()) == 4)
    assert set(system.running().values()) == {"media-1"}

    await system.start_agent("media-0")  # it still has its old snapshot
    await until(lambda: set(system.running().values()) == {"media-1"})
    await hear("media-0", "media-1")
    assert set(system.running().values()) == {"media-1"}, "what is healthy is not moved back"
    assert before != system.running()
    await system.stop()


async def test_a_bus_that_was_away_for_long_moves_nothing(tmp_path: Path) -> None:
    clock = ManualClock()
    system = System(tmp_path, clock=clock)
    await system.start([make_camera(f"camera-{number}") for number in range(4)])
    await until(lambda: len(system.running()) == 4)
    assert system.gateway is not None
    before = system.running()
    assert isinstance(system.bus, UnsteadyBus)
    system.bus.go_away()
    for _ in range(4):
        clock.advance(600)
        await system.gateway.look()
    system.bus.come_back()
    await system.gateway.look()
    system.say_alive("media-0")
    clock.advance(SILENT_S)
    await system.gateway.look()
    assert system.running() == before
    await system.stop()


async def test_fewer_media_processes_take_over_what_the_others_had_at_once(tmp_path: Path) -> None:
    system = System(tmp_path, workers=3)
    await system.start([make_camera(f"camera-{number}") for number in range(9)])
    await until(lambda: len(system.running()) == 9)
    assert system.gateway is not None
    system.gateway.set_workers(["media-0"])
    await until(lambda: set(system.running().values()) == {"media-0"})
    await system.stop()


async def test_a_pinned_camera_runs_where_it_is_pinned_and_there_alone(system: System) -> None:
    await system.start([make_camera()])
    await until(lambda: PORCH in system.running())
    assert system.gateway is not None
    [there] = set(system.workers) - {system.running()[PORCH]}
    await system.gateway.pin(PORCH, there)
    assert system.running() == {PORCH: there}
    with pytest.raises(NotFound, match="no media process media-9"):
        await system.gateway.pin(PORCH, "media-9")
    with pytest.raises(NotFound, match="no camera"):
        await system.gateway.pin(CameraId("none"), there)
    await system.gateway.stop()
    gateway = await system.start_gateway([make_camera()])
    await gateway.pin(PORCH, None)
    assert system.running() == {PORCH: there}, "it is free and stays"


async def test_a_camera_that_moves_is_let_go_before_another_process_takes_it(system: System) -> None:
    await system.start([make_camera()])
    await until(lambda: PORCH in system.running())
    assert system.gateway is not None
    old = system.running()[PORCH]
    [new] = set(system.workers) - {old}
    order: list[str] = []
    for worker in (old, new):
        media = system.media[worker]
        original = media.__call__

        async def noted(*change: object, worker: str = worker, original: object = original) -> None:
            order.append(worker)
            await original(*change)  # type: ignore[operator]

        system.agents[worker]._effects._apply = noted  # type: ignore[assignment]
    await system.gateway.pin(PORCH, new)
    assert order == [old, new]
