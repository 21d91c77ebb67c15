"""What every role of the system has in common: it starts, it stops, it says how it fares.

Belongs here: the seam between roles and the processes that run them. Does not: any role.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from vms.app.places import Places
from vms.bus import Bus
from vms.common.clock import Clock
from vms.config import Config
from vms.proto import worker_pb2
from vms.telemetry.metrics import MetricSource

Method = Callable[[bytes], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Around:
    """What a role is given by the process that it runs in."""

    config: Config
    places: Places
    worker: str
    bus: Bus
    clock: Clock


class Role(Protocol):
    """A set of services that runs in a process of its own, or beside others in one.

    sources: who counts in it. methods: what its control socket answers besides status and metrics.
    on_change: to be called when what `describe` says has changed.
    """

    on_change: Callable[[], None]

    @property
    def sources(self) -> Sequence[MetricSource]: ...
    @property
    def methods(self) -> Mapping[str, Method]: ...

    async def start(self) -> None:
        """Work when this returns. Raises a VmsError that says what to do."""

    async def stop(self) -> None:
        """Finish what was begun and release everything."""

    def describe(self, status: worker_pb2.WorkerStatus) -> None:
        """Put what it has to say into the worker's status."""
