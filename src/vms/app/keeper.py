"""The keeper role: one volume's catalog, its recovery after crashes, what has to be deleted or moved."""

from collections.abc import Mapping, Sequence

from vms.app.events import EventTeller
from vms.app.late_signer import LateSigner
from vms.app.places import Places
from vms.app.role import Method, OnChange, nobody_told
from vms.bus import Bus
from vms.common.clock import Clock
from vms.common.ids import CameraId
from vms.config import VolumeConfig
from vms.proto import worker_pb2
from vms.storage.alarms import TEXTS
from vms.storage.keeper import VolumeKeeper
from vms.storage.keeper_control import keeper_methods
from vms.telemetry.logs import get_logger
from vms.telemetry.metrics import MetricSource

log = get_logger(__name__)

_NO_CAMERA = CameraId("")


class KeeperRole:
    """Keeps one volume."""

    def __init__(
        self,
        volume: VolumeConfig,
        places: Places,
        clock: Clock,
        *,
        bus: Bus | None = None,
        worker: str = "keeper-0",
        beside_media: bool = False,
    ) -> None:
        """bus: where alarms are told as events; None tells nobody. beside_media: this process carries media as well."""
        self.on_change: OnChange = nobody_told
        self.keeper = VolumeKeeper(
            volume,
            clock,
            system_id=places.system_id(),
            known_volumes=places.known_volumes,
            signer=LateSigner(places.data_dir),
            beside_media=beside_media,
        )
        self.keeper.on_alarms = self._alarms_changed
        self._clock = clock
        self._events = EventTeller(places.outbox(worker), worker, bus, clock) if bus is not None else None

    @property
    def sources(self) -> Sequence[MetricSource]:
        return [self.keeper, *([self._events] if self._events is not None else [])]

    @property
    def methods(self) -> Mapping[str, Method]:
        return keeper_methods(self.keeper)

    async def start(self) -> None:
        """A volume that fails is said and tried again; it does not raise."""
        if self._events is not None:
            await self._events.start()
        await self.keeper.start()

    async def stop(self) -> None:
        await self.keeper.stop()
        if self._events is not None:
            await self._events.stop()

    def describe(self, status: worker_pb2.WorkerStatus) -> None:
        error = self.keeper.volume.error
        if error is not None:
            status.detail = str(error)

    def _alarms_changed(self, begun: Sequence[str], ended: Sequence[str]) -> None:
        self.on_change()
        path = str(self.keeper.volume.path)
        for kind, slugs in (("alarm_raised", begun), ("alarm_cleared", ended)):
            for slug in slugs:
                text = f"volume {path}: {TEXTS.get(slug, slug)}"
                if kind == "alarm_raised":
                    log.error("a volume needs somebody to look at it", alarm=slug, path=path)
                if self._events is not None:
                    facts = {"alarm": slug, "volume": path}
                    self._events.tell(kind, _NO_CAMERA, self._clock.wall_ns(), text, facts)
