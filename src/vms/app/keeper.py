"""The keeper role: one volume's catalog, its recovery after crashes, and what has to be deleted."""

from collections.abc import Callable, Mapping, Sequence

from vms.app.places import Places
from vms.app.role import Method
from vms.common.clock import Clock
from vms.config import VolumeConfig
from vms.proto import worker_pb2
from vms.storage.keeper import VolumeKeeper
from vms.storage.keeper_control import keeper_methods
from vms.telemetry.metrics import MetricSource


class KeeperRole:
    """Keeps one volume."""

    def __init__(
        self, volume: VolumeConfig, places: Places, clock: Clock, *, beside_media: bool = False
    ) -> None:
        """beside_media: this process carries media as well."""
        self.on_change: Callable[[], None] = lambda: None
        self.keeper = VolumeKeeper(
            volume,
            clock,
            system_id=places.system_id(),
            known_volumes=places.known_volumes,
            beside_media=beside_media,
        )

    @property
    def sources(self) -> Sequence[MetricSource]:
        return [self.keeper]

    @property
    def methods(self) -> Mapping[str, Method]:
        return keeper_methods(self.keeper)

    async def start(self) -> None:
        """A volume that fails is said and tried again; it does not raise."""
        await self.keeper.start()

    async def stop(self) -> None:
        await self.keeper.stop()

    def describe(self, status: worker_pb2.WorkerStatus) -> None:
        error = self.keeper.volume.error
        if error is not None:
            status.detail = str(error)
