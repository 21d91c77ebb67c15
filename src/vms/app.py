"""The only place where services are wired together.

A camera's life: the registry (database and configuration file) says what is configured; every change comes
to `System._apply`, which tells ingest what to pull and storage what to record.
"""

import asyncio
import gc
import resource
import signal
from contextlib import AsyncExitStack

from vms.api.ports import Ports
from vms.api.service import ApiService
from vms.common.camera import Camera, RecordMode
from vms.common.clock import Clock, SystemClock
from vms.common.data_directory import DataDirectory
from vms.config import Config, is_loopback
from vms.gateway.registry import CameraRegistry
from vms.ingest import IngestService
from vms.media import GapReason
from vms.storage.playback import Playback
from vms.storage.service import StorageService
from vms.stream.service import StreamService
from vms.telemetry.logs import get_logger
from vms.telemetry.loop_lag import LoopLag

log = get_logger(__name__)


class System:
    """Every service in one process. `start` returns when the API answers; `stop` closes every recording."""

    def __init__(self, config: Config, clock: Clock | None = None) -> None:
        self.url = ""
        self._config = config
        self._stack = AsyncExitStack()
        self._ready = False
        clock = clock or SystemClock()
        self._loop_lag = LoopLag()
        self._registry = CameraRegistry(config.data_dir, clock, self._apply)
        self._ingest = IngestService(clock)
        known = config.data_dir / "volumes.json"
        self._storage = StorageService(config.volumes(), config.storage.segment, clock, known_volumes=known)
        local_only = is_loopback(config.http.host)
        self._stream = StreamService(config.webrtc, self._ingest.hub, clock, local_only=local_only)
        self._playback = Playback(self._storage)
        self._clock = clock

    async def start(self) -> None:
        """Start everything in the order in which it is needed; what a failed start began is undone.

        Raises a VmsError that says what to do: data directory in use, port taken, volume unusable.
        """
        async with AsyncExitStack() as stack:
            stack.enter_context(DataDirectory(self._config.data_dir))
            await self._registry.start(self._config.cameras)
            stack.push_async_callback(self._registry.stop)
            stack.push_async_callback(self._playback.stop)
            for service in (self._loop_lag, self._storage, self._stream, self._ingest):
                await service.start()
                stack.push_async_callback(service.stop)
            for entry in await self._registry.list():
                await self._apply(None, entry.camera)
            api = ApiService(self._config.http, self._ports(), self._registry.derive_key("api session"))
            await api.start()
            stack.push_async_callback(api.stop)
            self.url = api.url
            self._ready = True
            self._stack = stack.pop_all()
        gc.collect()
        gc.freeze()  # what was made to start lives on; walking it again and again would delay pictures

    async def stop(self) -> None:
        """Stop in reverse: viewers, cameras, then every recording is closed properly."""
        self._ready = False
        await self._stack.aclose()

    async def _apply(self, old: Camera | None, new: Camera | None) -> None:
        """Make a change of the registry real; called once a change, in order."""
        if new is None:
            assert old is not None
            await self._stream.end_camera(old.id)
            await self._ingest.remove(old.id)
            await self._storage.forget(old.id)
            return
        hub = await self._ingest.put(new)
        if new.record is RecordMode.OFF:
            self._storage.keep(new)
            await self._storage.stop_recording(new.id, GapReason.RECORDING_OFF)
        else:
            self._storage.record(new, hub)

    def _ports(self) -> Ports:
        return Ports(
            registry=self._registry,
            live_status=self._ingest,
            recording=self._storage,
            playback=self._playback,
            live=self._stream,
            clock=self._clock,
            ready=lambda: self._ready,
            metrics=(self._ingest, self._storage, self._playback, self._stream, self._loop_lag),
        )


async def serve(config: Config) -> None:
    """Run the system until SIGTERM or SIGINT."""
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


def stop_signal() -> asyncio.Event:
    """What is set by SIGTERM and SIGINT; ask for it before starting, or a signal meanwhile ends the process."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    return stopped


def allow_many_files() -> None:
    """Raise the limit on open files as far as allowed: the usual 1024 is meant for programs that use select."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
