"""The supervisor process: ``python -m vms.app.supervise``, started by the launcher.

It starts and watches the workers, owns the sockets that the outside reaches, hosts the registry and places cameras.
Nothing that carries media depends on it: when it dies the others go on, and the next one adopts them.

Belongs here: one system of processes, from its configuration. Does not: the life of processes
(vms.supervisor), the registry (vms.gateway).
"""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import uvloop
from rich.console import Console
from rich.markup import escape

from vms.api.listener import url_of
from vms.app.convert import metrics_message
from vms.app.events import EventTeller
from vms.app.evidence_keys import make_evidence_keys
from vms.app.listeners import bind_http, bind_rtsp, check_certificate
from vms.app.lock_keepers import keeper_clients, kept_volumes
from vms.app.places import Places
from vms.app.plans import STARTED_FIRST, nats_plan, worker_names, worker_plans
from vms.app.processes import allow_many_files
from vms.app.settings import holds, write_settings
from vms.app.worker import JSON_LOGS_VARIABLE, LOG_LEVEL_VARIABLE, bus_address
from vms.bus.nats_bus import NatsBus
from vms.bus.server import NatsServer
from vms.common.clock import SystemClock
from vms.common.data_directory import DataDirectory
from vms.common.errors import Conflict, VmsError
from vms.config import Config, load_config
from vms.gateway.journal_keeper import JournalKeeper
from vms.gateway.service import GatewayService
from vms.proto import worker_pb2
from vms.storage.keeper_control import KeeperClient
from vms.supervisor.child import RUN_DIR_VARIABLE, Lifeline
from vms.supervisor.fork_server import ForkServer
from vms.supervisor.launcher_link import LauncherLink
from vms.supervisor.notify import Notifier
from vms.supervisor.plan import WorkerPlan
from vms.supervisor.running import reload_told, running
from vms.supervisor.supervisor import Supervisor
from vms.telemetry.logs import configure_logs, get_logger
from vms.telemetry.loop_lag import LoopLag
from vms.telemetry.metrics import MetricSource, read
from vms.telemetry.process import ProcessUsage

log = get_logger(__name__)

READY_S = 20.0  # a system that cannot be complete says so after this, and goes on


def main() -> None:
    """Run until told to stop; a VmsError ends it with status 1 and its text."""
    options = _options(sys.argv[1:])
    configure_logs(json=options.json_logs, level=options.log_level, role="supervisor", worker="supervisor")
    os.environ[JSON_LOGS_VARIABLE] = "1" if options.json_logs else "0"
    os.environ[LOG_LEVEL_VARIABLE] = options.log_level
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(SystemOfProcesses(options.config, options.data_dir).run())
    except VmsError as error:
        Console(stderr=True).print(f"[bold red]vms:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(1)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="vms.app.supervise")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--json-logs", action="store_true")
    parser.add_argument("--log-level", default="info")
    return parser.parse_args(arguments)


class SystemOfProcesses:
    """The whole system on this machine, from a configuration file that may change."""

    def __init__(self, config_path: Path | None, data_dir: Path | None) -> None:
        """Raises ConfigError."""
        self._paths = config_path, data_dir
        self._config = load_config(config_path, data_dir)
        self._places = Places(self._config.data_dir)
        self._clock = SystemClock()
        self._link = LauncherLink.from_environment()
        self._notifier = Notifier()
        self._loop_lag = LoopLag()
        self._usage = ProcessUsage()
        self._bus = NatsBus(lambda: bus_address(self._config, self._places), name="supervisor")
        self._server = NatsServer(self._places.run, self._places.bus_store)
        self._events = EventTeller(self._places.outbox("supervisor"), "supervisor", self._bus, self._clock)
        self._journal = JournalKeeper(self._bus, self._places.journal)
        self._gateway: GatewayService
        self._keepers: Sequence[KeeperClient] = ()
        self._supervisor: Supervisor | None = None
        self._reloading = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""
        self.rtsp_url = ""

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT, or until the launcher is gone; then end everything in order."""
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopped.set)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        lifeline = Lifeline(self._link.lifeline, stopped.set)
        lifeline.start()
        allow_many_files()
        async with AsyncExitStack() as stack:
            await self._start(stack)
            self._in_background(self._say_ready())
            await stopped.wait()
            log.info("stopping; closing the recordings")
        log.info("stopped")

    async def _start(self, stack: AsyncExitStack) -> None:
        lock = DataDirectory(
            self._config.data_dir, owner=self._link.launcher_pid, descriptor=self._link.stored("data-dir")
        )
        await stack.enter_async_context(lock)
        self._link.keep("data-dir", lock.fileno())
        self._places.make()
        os.environ[RUN_DIR_VARIABLE] = str(self._places.run)  # by which what we fork is known as ours
        fork_server = ForkServer([sys.executable, "-m", "vms.app.fork_server"])
        await fork_server.start()
        stack.push_async_callback(fork_server.stop)
        self._gateway = GatewayService(
            self._config.data_dir,
            self._bus,
            self._clock,
            node=self._places.node(),
            workers=worker_names(self._config)["media"],
            cameras=self._config.cameras,
        )
        await self._gateway.start()
        stack.callback(self._leave_keepers)
        stack.push_async_callback(self._gateway.stop)
        await self._tell_of_locks(self._config)
        self._refuse_a_hopeless_start()
        await make_evidence_keys(self._config.data_dir, self._places.node())
        await self._bus.start()
        stack.push_async_callback(self._bus.stop)
        await self._events.start()
        stack.push_async_callback(self._events.stop)
        await self._journal.start()
        stack.push_async_callback(self._journal.stop)
        await self._loop_lag.start()
        stack.push_async_callback(self._loop_lag.stop)
        if self._link.restarts == 0:  # else the workers run already, and are only taken on
            await fork_server.wait_ready()
        self._supervisor = Supervisor(
            self._plans(self._config),
            self._places.run,
            self._clock,
            link=self._link,
            inherit={"data-dir": lock.fileno()},
            fork_server=fork_server,
            on_change=self._events.worker_changed,
            loop_lag_s=lambda: self._loop_lag.quantile_s(0.99),
        )
        await stack.enter_async_context(
            running(
                self._supervisor,
                self._places.run,
                link=self._link,
                notifier=self._notifier,
                reload=self.reload,
                methods={"system": self._system, "metrics": self._metrics},
            )
        )

    def _refuse_a_hopeless_start(self) -> None:
        """A registry that cannot be opened keeps nobody from recording what is known; if nothing is, say so."""
        error = self._gateway.first_error
        if error is None:
            return
        if not any(self._places.snapshot(worker).exists() for worker in worker_names(self._config)["media"]):
            raise error
        log.error("the registry cannot be opened; recording what was assigned before", reason=str(error))

    # -- the configuration ---------------------------------------------------------------------------------

    async def reload(self) -> None:
        """Read the configuration again; restart the roles that it changes, and no others.

        Raises ConfigError when it cannot be used (what runs goes on), Conflict for what needs a new start.
        """
        async with self._reloading:
            config = load_config(*self._paths)
            if config.data_dir.absolute() != self._config.data_dir.absolute():
                raise Conflict("data_dir was changed; that needs `vms serve` to be started anew")
            assert self._supervisor is not None
            self._config = config
            self._gateway.set_workers(worker_names(config)["media"])
            await self._tell_of_locks(config)
            await self._gateway.reload(config.cameras)
            changed = await self._supervisor.replace(self._plans(config))
            log.info("configuration read again", restarted=changed)

    async def _tell_of_locks(self, config: Config) -> None:
        """Have the keepers of the configured volumes told which footage must not be deleted."""
        before, self._keepers = self._keepers, keeper_clients(config, self._places)
        await self._gateway.set_volumes(kept_volumes(config, self._keepers))
        for keeper in before:
            keeper.close()

    def _leave_keepers(self) -> None:
        for keeper in self._keepers:
            keeper.close()

    def _plans(self, config: Config) -> list[WorkerPlan]:
        """Raises Unavailable when a port is taken, or the certificate cannot be used."""
        check_certificate(config)
        link, host, port = self._link, config.http.host, config.http.port
        http = link.listener("http", host, port, lambda *_: bind_http(config))
        self.url = url_of(host, http.getsockname()[1], config.http.scheme)
        os.set_inheritable(http.fileno(), False)
        fds = {role: {"config": self._settings(config, role)} for role in STARTED_FIRST}
        fds["api"]["http"] = _kept(link, "http")
        rtsp = bind_rtsp(
            config, lambda listen: link.listener("rtsp", config.rtsp_host, config.rtsp.port, listen)
        )
        self.rtsp_url = ""
        if rtsp is not None:
            fds["stream"]["rtsp"] = _kept(link, "rtsp")
            self.rtsp_url = url_of(config.rtsp_host, rtsp.getsockname()[1]).replace("http:", "rtsp:")
        plans = worker_plans(config, self._places, fds, {})
        return plans if config.bus.url is not None else [nats_plan(self._server, self._bus), *plans]

    def _settings(self, config: Config, role: str) -> int:
        """A descriptor of the role's settings; the one of before where it holds the same."""
        name = f"config-{role}"
        kept = self._link.stored(name)
        if kept is None or not holds(kept, config, role):
            fresh = write_settings(config, role)
            self._link.keep(name, fresh)
            os.close(fresh)
        return _kept(self._link, name)

    def _hang_up(self) -> None:
        self._in_background(self._reload_told())

    async def _reload_told(self) -> None:
        try:
            await reload_told(self.reload, self._notifier)
        except VmsError as error:
            log.error("the configuration was not taken over; what runs goes on", reason=str(error))

    # -- what is said --------------------------------------------------------------------------------------

    async def _say_ready(self) -> None:
        assert self._supervisor is not None
        complete = await self._supervisor.wait_ready(READY_S)
        cameras = len(self._config.cameras)
        log.info("ready", url=self.url, rtsp=self.rtsp_url, complete=complete, cameras=cameras)

    async def _system(self, _: bytes) -> bytes:
        assert self._supervisor is not None
        processes = self._supervisor.status().processes
        ready = all(process.state == "running" for process in processes)
        info = worker_pb2.SystemInfo(url=self.url, rtsp_url=self.rtsp_url, ready=ready)
        return info.SerializeToString()

    async def _metrics(self, _: bytes) -> bytes:
        assert self._supervisor is not None
        sources: list[MetricSource] = [self._supervisor, self._gateway, self._events, self._journal]
        sources += [self._loop_lag, self._usage]
        return metrics_message(read("supervisor", "supervisor", sources)).SerializeToString()

    def _in_background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _kept(link: LauncherLink, name: str) -> int:
    number = link.stored(name)
    assert number is not None, "it was kept just now"
    return number


if __name__ == "__main__":
    main()
