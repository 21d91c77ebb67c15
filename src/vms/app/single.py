"""Every role in one process, on a bus in memory: for small machines, for trying things out, for tests.

The roles are those that have processes of their own elsewhere; only hubs are shared instead of relayed.
"""

import gc
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from vms.app.api import ApiRole
from vms.app.convert import metrics_message
from vms.app.directory import Directory
from vms.app.evidence_keys import make_evidence_keys
from vms.app.keeper import KeeperRole
from vms.app.listeners import bind_rtsp, check_certificate
from vms.app.lock_keepers import kept_volumes
from vms.app.media import MediaRole
from vms.app.places import QUIC, RENDER, SRT, TRANSCODE, Places
from vms.app.processes import allow_many_files, stop_signal
from vms.app.remote import Process
from vms.app.render import RenderRole
from vms.app.role import Around, Method
from vms.app.running import RunningRole
from vms.app.srt import SrtRole
from vms.app.stream import StreamRole
from vms.app.transcode import TranscodeRole
from vms.bus.local import LocalServer
from vms.bus.memory import MemoryBus
from vms.common.clock import Clock, SystemClock
from vms.common.data_directory import DataDirectory
from vms.common.errors import Conflict
from vms.common.ids import CameraId
from vms.common.secrets import installation_secrets
from vms.common.service import Service
from vms.common.stream_name import StreamName
from vms.config import Config
from vms.gateway.client import RegistryClient
from vms.gateway.journal_keeper import JournalKeeper
from vms.gateway.service import GatewayService
from vms.proto import worker_pb2
from vms.stream import HubLease, LeaseHub
from vms.stream.http.token import SECRET_PURPOSE
from vms.telemetry.logs import get_logger
from vms.telemetry.loop_lag import LoopLag
from vms.telemetry.metrics import MetricSource, ProcessMetrics, read
from vms.telemetry.process import ProcessUsage

if TYPE_CHECKING:
    from vms.app.quic import QuicRole

log = get_logger(__name__)

MEDIA, STREAM, API, ALL = "media-0", "stream-0", "api-0", "supervisor"


class System:
    """`start` returns when the API answers; `stop` closes every recording."""

    def __init__(self, config: Config, clock: Clock | None = None) -> None:
        self.url = ""
        self._config = config
        self._clock = clock or SystemClock()
        self._places = Places(config.data_dir)
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        """Start everything in the order in which it is needed; what a failed start began is undone.

        Raises a VmsError that says what to do: data directory in use, port taken, database unusable.
        """
        check_certificate(self._config)
        async with AsyncExitStack() as stack:
            await self._start(stack)
            self._stack = stack.pop_all()
        gc.collect()
        gc.freeze()  # what was made to start lives on; walking it again and again would delay pictures

    async def stop(self) -> None:
        """Stop in reverse: viewers, cameras, then every recording is closed properly."""
        await self._stack.aclose()

    async def _start(self, stack: AsyncExitStack) -> None:
        config, places, clock = self._config, self._places, self._clock
        await stack.enter_async_context(DataDirectory(config.data_dir))
        places.make()
        bus = MemoryBus()
        await _run(stack, bus)

        def around(worker: str) -> Around:
            return Around(config, places, worker, bus, clock)

        keepers, journal = await self._start_keeping(stack, bus)
        secrets = await installation_secrets(config.data_dir)
        url_secret = secrets.derive(SECRET_PURPOSE)
        registry = RegistryClient(bus, config.data_dir)
        media = MediaRole(around(MEDIA), [role.keeper for role in keepers], serve_hubs=False)
        viewing = _Viewing(around, media, registry, url_secret)
        directory = Directory(bus, clock)
        machine = _OneProcess(journal)
        render = RenderRole(around(RENDER))
        api = ApiRole(
            around(API),
            registry=registry,
            directory=directory,
            lease=media.ingest.lease,
            machine=machine,
            keepers=[role.keeper for role in keepers],
            rendering=render.service,
            session_secret=secrets.derive("api session"),
            url_secret=url_secret,
        )
        machine.roles = running = [
            *(RunningRole("keeper", around(f"keeper-{n}"), role) for n, role in enumerate(keepers)),
            *viewing.before_media(),
            RunningRole("media", around(MEDIA), media),
            RunningRole("render", around(RENDER), render),
            *viewing.beside_media(),
        ]
        control = LocalServer(places.control(ALL), machine.methods())
        serving = RunningRole("api", around(API), api)
        await _run(stack, directory, registry, *running, machine.lag, control, serving)
        await registry.wait_loaded()
        self.url = api.service.url

    async def _start_keeping(
        self, stack: AsyncExitStack, bus: MemoryBus
    ) -> tuple[list[KeeperRole], JournalKeeper]:
        """The registry, the journal and the keys; the keepers, which are not started yet."""
        config, places, clock = self._config, self._places, self._clock
        gateway = GatewayService(
            config.data_dir, bus, clock, node=places.node(), workers=(MEDIA,), cameras=config.cameras
        )
        await _run(stack, gateway)
        if gateway.first_error is not None:
            raise gateway.first_error
        await make_evidence_keys(config.data_dir, places.node())
        journal = JournalKeeper(bus, places.journal)
        await _run(stack, journal)
        keepers = [
            KeeperRole(volume, places, clock, bus=bus, worker=f"keeper-{n}", beside_media=True)
            for n, volume in enumerate(config.volumes())
        ]
        await gateway.set_volumes(kept_volumes(config, [role.keeper for role in keepers]))
        return keepers, journal


class _Viewing:
    """The roles that serve viewers, of the media role's hubs, and what they need."""

    def __init__(
        self,
        around: Callable[[str], Around],
        media: MediaRole,
        registry: RegistryClient,
        url_secret: bytes,
    ) -> None:
        self._around = around
        self._config = config = around(STREAM).config
        self._media = media
        self._registry = registry
        rtsp = bind_rtsp(config)
        self._transcode = TranscodeRole(around(TRANSCODE), media.ingest.lease, serve_hubs=False)
        self._stream = StreamRole(around(STREAM), self._lease, rtsp=rtsp, url_secret=url_secret)
        self._quic = _quic(around(QUIC), self._lease, url_secret)
        self._srt = SrtRole(around(SRT), self._lease, registry, url_secret=url_secret)
        registry.on_change = self._end_what_is_gone

    def before_media(self) -> Sequence[RunningRole]:
        """What brings media to the media role: started before it, so that it ends after it."""
        return [RunningRole("srt", self._around(SRT), self._srt)] if self._config.runs_srt else []

    def beside_media(self) -> Sequence[RunningRole]:
        running = []
        if self._config.transcode.streams != 0:
            running.append(RunningRole("transcode", self._around(TRANSCODE), self._transcode))
        running.append(RunningRole("stream", self._around(STREAM), self._stream))
        if self._quic is not None:
            running.append(RunningRole("quic", self._around(QUIC), self._quic))
        return running

    def _lease(self, camera_id: CameraId, stream: StreamName = StreamName.MAIN, /) -> HubLease:
        """Hubs of cameras as they are, and transcoded ones where the configuration has them."""
        if stream is StreamName.COMPAT and self._config.transcode.streams != 0:
            return self._transcode.lease(camera_id)
        return self._media.ingest.lease(camera_id, stream)

    def _end_what_is_gone(self, camera_id: CameraId) -> None:
        serving: list[StreamRole | SrtRole | QuicRole] = [self._stream, self._srt]
        if self._quic is not None:
            serving.append(self._quic)
        if self._registry.assignment(camera_id) is None:
            self._transcode.end_camera(camera_id)
            for role in serving:
                role.end_camera(camera_id)
        elif not self._registry.has_sub(camera_id):
            for role in serving:
                role.end_sub(camera_id)


async def _run(stack: AsyncExitStack, *services: Service) -> None:
    """Start them in order; the stack stops them in reverse."""
    for service in services:
        await service.start()
        stack.push_async_callback(service.stop)


async def serve(config: Config) -> None:
    """Run the whole system here until SIGTERM or SIGINT."""
    stopped = stop_signal()
    allow_many_files()
    system = System(config)
    await system.start()
    log.info("ready", url=system.url, cameras=len(config.cameras))
    try:
        await stopped.wait()
        log.info("stopping; closing the recordings")
    finally:
        await system.stop()
    log.info("stopped")


def _quic(around: Around, lease: LeaseHub, url_secret: bytes) -> "QuicRole | None":
    if around.config.webtransport.port is None:
        return None
    from vms.app.quic import QuicRole  # aioquic is loaded by those who use it

    return QuicRole(around, lease, url_secret=url_secret)


class _OneProcess:
    """Implements the API's Machine, and the control socket, for a system in one process."""

    def __init__(self, *before: MetricSource) -> None:
        """before: who else counts here and belongs to no role."""
        self.roles: Sequence[RunningRole] = ()
        self.lag = LoopLag()
        self._usage = ProcessUsage()
        self._sources = [*before, self.lag, self._usage]
        self._began_s = time.monotonic()

    async def processes(self) -> Sequence[Process]:
        statuses = [role.teller.status() for role in self.roles]
        process = Process(
            role="supervisor",
            worker=ALL,
            pid=os.getpid(),
            state="running",
            cameras=sum(len(status.cameras) for status in statuses),
            viewers=sum(sum(status.viewers.values()) for status in statuses),
            cpu_percent=round(100 * self._usage.cpu_share(), 1),
            memory_bytes=self._usage.resident_bytes(),
            loop_lag_ms=round(1000 * self.lag.quantile_s(0.99), 2),
            restarts=0,
            uptime_s=round(time.monotonic() - self._began_s, 1),
            detail="all roles in one process",
        )
        return [process]

    async def restart(self, target: str) -> Sequence[str]:
        """Raises Conflict."""
        raise Conflict(f"{target}: all roles run in one process; restart the system instead")

    async def metrics(self) -> Sequence[ProcessMetrics]:
        return [*(role.metrics() for role in self.roles), read("supervisor", ALL, self._sources)]

    def methods(self) -> dict[str, Method]:
        return {"status": self._status, "restart": self._restart, "metrics": self._own_metrics}

    async def _status(self, _: bytes) -> bytes:
        (process,) = await self.processes()
        fields = {name: getattr(process, name) for name in Process.__slots__}
        return worker_pb2.ProcessList(processes=[worker_pb2.ProcessStatus(**fields)]).SerializeToString()

    async def _restart(self, data: bytes) -> bytes:
        await self.restart(worker_pb2.Restart.FromString(data).target)
        return b""

    async def _own_metrics(self, _: bytes) -> bytes:
        return metrics_message(read("supervisor", ALL, self._sources)).SerializeToString()
