"""What every role of the system has in common: it starts, it stops, it says how it fares.

Belongs here: the seam between roles and the processes that run them. Does not: any role.
"""

from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from vms.app.places import Places
from vms.bus import Bus
from vms.common.clock import Clock
from vms.config import Config
from vms.proto import worker_pb2
from vms.telemetry.metrics import MetricSource

Method = Callable[[bytes], Awaitable[bytes]]
OnChange = Callable[[], Awaitable[None]]
"""Called when what `describe` says has changed. To wait for what it gives is to wait until others were told."""


class _AtOnce:
    def __await__(self) -> Generator[None, None, None]:
        yield from ()


def nobody_told() -> Awaitable[None]:
    """An OnChange before a role runs: there is nobody to tell, and nothing to wait for."""
    return _AtOnce()


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
    on_change: to be called when what `describe` says has changed; set by who runs the role.
    """

    on_change: OnChange

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
