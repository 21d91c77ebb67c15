"""Which media process pulls and records which camera: pure decisions, no I/O and no clock.

What is healthy is never moved. A worker that is silent for less than the grace time keeps its cameras, for it
is being started again; one that is gone for longer, or exists no more, loses them to those that carry least:
CPU share first, then bit rate, then cameras. The same input gives the same plan.

Belongs here: the rules. Does not: measuring (workers), storing (store), telling anyone (service).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from vms.common.ids import CameraId

GRACE_S = 10.0
DEFAULT_BITRATE = 4_000_000  # bits a second: 1080p25 H.264 as most cameras send it
# One core pulls and records about 200 cameras of 4 Mb/s (docs/architecture/performance.md)
CPU_SHARE_PER_BIT_S = 1 / 200 / DEFAULT_BITRATE


@dataclass(frozen=True, slots=True)
class Assignment:
    """Where a camera runs. pinned: a person chose so. standby: workers, the first to take over first."""

    node: str
    worker: str
    pinned: bool = False
    standby: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a node takes at most, bits a second and cameras; None is no limit."""

    bitrate: int | None = None
    cameras: int | None = None


@dataclass(frozen=True, slots=True)
class Worker:
    """A media process that exists.

    gone_s: None while it is heard; else how long it is known to be silent. cpu_share: of one core.
    measured: the cameras that its cpu_share already counts, with their bits a second.
    """

    name: str
    node: str
    gone_s: float | None = None
    cpu_share: float = 0.0
    measured: Mapping[CameraId, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """changed: assignments that are new or other than before. said: what a person should know of it."""

    changed: Mapping[CameraId, Assignment]
    said: tuple[str, ...]


def place(
    cameras: Iterable[CameraId],
    present: Mapping[CameraId, Assignment],
    workers: Iterable[Worker],
    *,
    bitrates: Mapping[CameraId, float] | None = None,
    capacities: Mapping[str, Capacity] | None = None,
    grace_s: float = GRACE_S,
) -> Plan:
    """Give every camera a worker and a standby list; those whose worker is well keep it.

    bitrates: measured bits a second; a camera that was never measured counts DEFAULT_BITRATE. With no worker
    at all nothing is changed. Full nodes take cameras only when all are full, which is said.
    """
    placing = _Placing(
        cameras, present, workers, bitrates=bitrates or {}, capacities=capacities or {}, grace_s=grace_s
    )
    return placing.plan()


def move(
    camera_id: CameraId, worker: str | None, present: Mapping[CameraId, Assignment], workers: Iterable[Worker]
) -> Assignment | None:
    """The assignment that pins a camera to `worker`, or with None frees it where it is; None: no such worker."""
    held = present.get(camera_id)
    if worker is None:
        return replace(held, pinned=False) if held is not None else None
    found = next((one for one in workers if one.name == worker), None)
    return Assignment(found.node, found.name, pinned=True) if found is not None else None


class _Load:
    """What one worker carries, planned cameras included."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        # A worker without cameras carries nothing, whatever its process spends on itself
        self.cpu_share = worker.cpu_share if worker.measured else 0.0
        self.bitrate = 0.0
        self.cameras = 0
        self.promised = 0  # cameras for which it is the first standby

    def add(self, camera_id: CameraId, bitrate: float) -> None:
        if camera_id not in self.worker.measured:
            self.cpu_share += bitrate * CPU_SHARE_PER_BIT_S
        self.bitrate += bitrate
        self.cameras += 1

    def key(self) -> tuple[float, float, int, str]:
        # Rounded, so that the order of additions decides nothing
        return round(self.cpu_share, 6), round(self.bitrate, 1), self.cameras, self.worker.name


class _Placing:
    def __init__(
        self,
        cameras: Iterable[CameraId],
        present: Mapping[CameraId, Assignment],
        workers: Iterable[Worker],
        *,
        bitrates: Mapping[CameraId, float],
        capacities: Mapping[str, Capacity],
        grace_s: float,
    ) -> None:
        self._cameras = sorted(cameras)
        self._present = present
        self._loads = {worker.name: _Load(worker) for worker in sorted(workers, key=lambda one: one.name)}
        self._bitrates = bitrates
        self._capacities = capacities
        self._grace_s = grace_s
        self._said: list[str] = []

    def plan(self) -> Plan:
        if not self._loads:
            return Plan({}, ())
        kept, homeless = self._sort_out()
        planned = dict(kept)
        # The heaviest first: what is left to even out is then small
        for camera_id in sorted(homeless, key=lambda one: (-self._bitrate(one), one)):
            planned[camera_id] = self._find(camera_id)
        planned = self._with_standbys(planned)
        changed = {key: planned[key] for key in sorted(planned) if planned[key] != self._present.get(key)}
        return Plan(changed, tuple(self._said))

    def _sort_out(self) -> tuple[dict[CameraId, Assignment], list[CameraId]]:
        refuge = any(load.worker.gone_s is None for load in self._loads.values())
        kept: dict[CameraId, Assignment] = {}
        homeless: list[CameraId] = []
        for camera_id in self._cameras:
            held = self._present.get(camera_id)
            load = self._loads.get(held.worker) if held is not None else None
            if held is None or load is None or (refuge and not held.pinned and self._lost(load.worker)):
                homeless.append(camera_id)
            else:
                kept[camera_id] = replace(held, node=load.worker.node)
                load.add(camera_id, self._bitrate(camera_id))
        return kept, homeless

    def _find(self, camera_id: CameraId) -> Assignment:
        bitrate = self._bitrate(camera_id)
        load = min(self._candidates(camera_id, bitrate), key=_Load.key)
        load.add(camera_id, bitrate)
        self._explain(camera_id, load.worker)
        return Assignment(load.worker.node, load.worker.name)

    def _candidates(self, camera_id: CameraId, bitrate: float) -> list[_Load]:
        """Those that may take it: the well ones, else those that may be back soon, else any that exists."""
        loads = list(self._loads.values())
        for fit in (
            [load for load in loads if load.worker.gone_s is None],
            [load for load in loads if not self._lost(load.worker)],
        ):
            if fit:
                loads = fit
                break
        roomy = [load for load in loads if self._has_room(load.worker.node, bitrate)]
        if not roomy:
            self._said.append(f"{camera_id}: every node is at its capacity; it is placed all the same")
        return roomy or loads

    def _has_room(self, node: str, bitrate: float) -> bool:
        limit = self._capacities.get(node)
        if limit is None:
            return True
        on_node = [load for load in self._loads.values() if load.worker.node == node]
        if limit.cameras is not None and sum(load.cameras for load in on_node) >= limit.cameras:
            return False
        return limit.bitrate is None or sum(load.bitrate for load in on_node) + bitrate <= limit.bitrate

    def _explain(self, camera_id: CameraId, worker: Worker) -> None:
        held = self._present.get(camera_id)
        if held is None:
            return
        if held.pinned:
            why = f"it was pinned to {held.worker}, which exists no more; the pin is dropped"
        elif held.worker not in self._loads:
            why = f"{held.worker} exists no more"
        else:
            why = f"{held.worker} is gone for {self._loads[held.worker].worker.gone_s:.0f} s"
        self._said.append(f"{camera_id}: placed on {worker.name}, for {why}")

    def _with_standbys(self, planned: Mapping[CameraId, Assignment]) -> dict[CameraId, Assignment]:
        done: dict[CameraId, Assignment] = {}
        everyone = sorted(self._loads)
        for camera_id in sorted(planned):
            assignment = planned[camera_id]
            # An order that is complete stands: it would change with every measurement otherwise
            if everyone != sorted((assignment.worker, *assignment.standby)):
                assignment = replace(assignment, standby=self._standbys(assignment))
            if assignment.standby:
                self._loads[assignment.standby[0]].promised += 1
            done[camera_id] = assignment
        return done

    def _standbys(self, assignment: Assignment) -> tuple[str, ...]:
        """Every other worker: on other nodes first; the cameras of one worker spread over its standbys."""
        others = [load for name, load in self._loads.items() if name != assignment.worker]
        others.sort(key=lambda load: (load.worker.node == assignment.node, load.promised, load.key()))
        return tuple(load.worker.name for load in others)

    def _lost(self, worker: Worker) -> bool:
        return worker.gone_s is not None and worker.gone_s >= self._grace_s

    def _bitrate(self, camera_id: CameraId) -> float:
        return self._bitrates.get(camera_id, DEFAULT_BITRATE)
