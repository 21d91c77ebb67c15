"""Every role in one process, on a bus in memory: for small machines, for trying things out, for tests.

The roles are those that have processes of their own elsewhere; only hubs are shared instead of relayed.
"""

import asyncio
import gc
import os
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress

from vms.app.api import ApiRole
from vms.app.convert import metrics_message
from vms.app.directory import Directory
from vms.app.evidence_keys import make_evidence_keys
from vms.app.keeper import KeeperRole
from vms.app.listeners import bind_rtsp, check_certificate
from vms.app.lock_keepers import kept_volumes
from vms.app.media import MediaRole
from vms.app.places import RENDER, TRANSCODE, Places
from vms.app.processes import allow_many_files, stop_signal
from vms.app.remote import Process
from vms.app.render import RenderRole
from vms.app.role import Around, Method
from vms.app.running import RunningRole
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

log = get_logger(__name__)

LOADED_S = 5.0
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
        await bus.start()
        stack.push_async_callback(bus.stop)
        gateway = GatewayService(
            config.data_dir, bus, clock, node=places.node(), workers=(MEDIA,), cameras=config.cameras
        )
        await gateway.start()
        stack.push_async_callback(gateway.stop)
        if gateway.first_error is not None:
            raise gateway.first_error
        await make_evidence_keys(config.data_dir, places.node())
        journal = JournalKeeper(bus, places.journal)
        await journal.start()
        stack.push_async_callback(journal.stop)
        keepers = [
            KeeperRole(volume, places, clock, bus=bus, worker=f"keeper-{n}", beside_media=True)
            for n, volume in enumerate(config.volumes())
        ]
        await gateway.set_volumes(kept_volumes(config, [role.keeper for role in keepers]))

        def around(worker: str) -> Around:
            return Around(config, places, worker, bus, clock)

        media = MediaRole(around(MEDIA), [role.keeper for role in keepers], serve_hubs=False)
        rtsp = bind_rtsp(config)
        transcode = TranscodeRole(around(TRANSCODE), media.ingest.lease, serve_hubs=False)
        secrets = await installation_secrets(config.data_dir)
        url_secret = secrets.derive(SECRET_PURPOSE)
        lease = _with_transcoded(media, transcode, config)
        stream = StreamRole(around(STREAM), lease, rtsp=rtsp, url_secret=url_secret)
        registry = RegistryClient(bus, config.data_dir)
        registry.on_change = lambda camera_id: _end_what_is_gone(registry, stream, transcode, camera_id)
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
        running = [RunningRole("keeper", around(f"keeper-{n}"), role) for n, role in enumerate(keepers)]
        running.append(RunningRole("media", around(MEDIA), media))
        running.append(RunningRole("render", around(RENDER), render))
        if config.transcode.streams != 0:
            running.append(RunningRole("transcode", around(TRANSCODE), transcode))
        running.append(RunningRole("stream", around(STREAM), stream))
        services: list[Service] = [directory, registry, *running]
        for service in services:
            await service.start()
            stack.push_async_callback(service.stop)
        machine.roles = running
        await machine.lag.start()
        stack.push_async_callback(machine.lag.stop)
        control = LocalServer(places.control(ALL), machine.methods())
        await control.start()
        stack.push_async_callback(control.stop)
        serving = RunningRole("api", around(API), api)
        await serving.start()
        stack.push_async_callback(serving.stop)
        with suppress(TimeoutError):
            async with asyncio.timeout(LOADED_S):
                while not registry.loaded:  # noqa: ASYNC110 - it comes over the bus
                    await asyncio.sleep(0.01)
        self.url = api.service.url


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


def _end_what_is_gone(
    registry: RegistryClient, stream: StreamRole, transcode: TranscodeRole, camera_id: CameraId
) -> None:
    if registry.assignment(camera_id) is None:
        stream.end_camera(camera_id)
        transcode.end_camera(camera_id)
    elif not registry.has_sub(camera_id):
        stream.end_sub(camera_id)


def _with_transcoded(media: MediaRole, transcode: TranscodeRole, config: Config) -> LeaseHub:
    """Hubs of cameras as they are, and transcoded ones where the configuration has them."""

    def lease(camera_id: CameraId, stream: StreamName = StreamName.MAIN, /) -> HubLease:
        if stream is StreamName.COMPAT and config.transcode.streams != 0:
            return transcode.lease(camera_id)
        return media.ingest.lease(camera_id, stream)

    return lease


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
