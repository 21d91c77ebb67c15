"""All processes of a system: started, adopted, replaced, restarted by role, ended in order.

Belongs here: the set of workers and what is done to several. Does not: the life of one (worker), the sockets that this
is asked over (control), which processes there are (vms.app).
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from vms.common.clock import Clock
from vms.common.errors import NotFound, Unavailable, VmsError
from vms.launcher import LIFELINE_VARIABLE, LINK_VARIABLE, RESTARTS_VARIABLE, STORE_VARIABLE
from vms.proto import worker_pb2
from vms.supervisor import child, foreign, records, report
from vms.supervisor.fork_server import ForkServer
from vms.supervisor.health import HealthCheck
from vms.supervisor.launcher_link import LauncherLink
from vms.supervisor.notify import NOTIFY_VARIABLES
from vms.supervisor.plan import Timings, WorkerPlan
from vms.supervisor.process import Process
from vms.supervisor.strays import end_strays
from vms.supervisor.usage import UsageMeter, proportional_bytes
from vms.supervisor.worker import OnChange, State, Worker, WorkerChange
from vms.telemetry.logs import get_logger
from vms.telemetry.metrics import MetricFamily

log = get_logger(__name__)

PROPORTIONAL_TURNS = 10  # memory maps are walked once in so many seconds
_OWN_VARIABLES = frozenset(
    {LIFELINE_VARIABLE, LINK_VARIABLE, STORE_VARIABLE, RESTARTS_VARIABLE, *NOTIFY_VARIABLES}
)


class Supervisor:
    """Runs `plans`. Implements `Service` and `MetricSource`.

    run_dir: exists, and belongs to this system alone.
    inherit: descriptors that every process gets, by name: the lock of the data directory.
    fork_server: starts those with a control socket; None, or one that fails: they are started by exec.
    loop_lag_s: of this process, for its line in the list.
    """

    def __init__(
        self,
        plans: Sequence[WorkerPlan],
        run_dir: Path,
        clock: Clock,
        *,
        link: LauncherLink | None = None,
        inherit: Mapping[str, int] | None = None,
        fork_server: ForkServer | None = None,
        timings: Timings | None = None,
        on_change: OnChange = lambda change: None,
        loop_lag_s: Callable[[], float] | None = None,
    ) -> None:
        self.healthy = False
        self._plans = list(plans)
        self._run_dir = run_dir
        self._clock = clock
        self._link = link or LauncherLink.none()
        self._inherit = dict(inherit or {})
        self._fork_server = fork_server
        self._timings = timings or Timings()
        self._on_change = on_change
        self._loop_lag_s = loop_lag_s
        self._workers: dict[str, Worker] = {}
        self._health: dict[str, HealthCheck] = {}
        self._checks: dict[str, asyncio.Task[None]] = {}
        self._usage = UsageMeter(clock)
        self._measuring: asyncio.Task[None] | None = None
        self._later: set[asyncio.Task[None]] = set()
        self._changing = asyncio.Lock()
        self._stopping = False
        self._others: tuple[int, int] | None = None  # the pipe that tells foreign programs (foreign)

    async def start(self) -> None:
        """Adopt what runs, start the rest. Returns without waiting for any to be ready; see `wait_ready`."""
        self._others = self._link.pipe("others")
        known = {record.worker: record for record in records.read(self._run_dir)}
        end_strays(self._link.launcher_pid, self._run_dir, {record.pid for record in known.values()})
        outdated = [plan for plan in self._plans if not self._bring_up(plan, known.pop(plan.worker, None))]
        for record in known.values():
            self._in_background(self._dismiss(record))
        self._save()
        if outdated:
            self._in_background(self._replace_outdated(outdated))
        self._measuring = asyncio.create_task(self._measure(), name="usage of processes")
        self._measuring.add_done_callback(self._must_run)
        self.healthy = True

    async def stop(self) -> None:
        """End every process, group by group in the order of their plans. Nothing is started from now on."""
        self._stopping = True
        workers = sorted(self._workers.values(), key=lambda worker: worker.plan.stop_order)
        for worker in workers:
            worker.hold()
        tasks = [*self._checks.values(), *([self._measuring] if self._measuring else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for order, group in groupby(workers, key=lambda worker: worker.plan.stop_order):
            ending = list(group)
            log.info("stopping", order=order, workers=[worker.plan.worker for worker in ending])
            await asyncio.gather(*(worker.stop() for worker in ending))
        await asyncio.gather(*self._later, return_exceptions=True)

    async def wait_ready(self, timeout_s: float) -> bool:
        """Whether all processes have been ready within `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                while any(worker.state is not State.RUNNING for worker in self._workers.values()):  # noqa: ASYNC110 - a state of many
                    await asyncio.sleep(min(0.05, self._timings.poll_s))
        except TimeoutError:
            return False
        return True

    async def restart(self, target: str) -> list[str]:
        """Restart a worker or, one after the other, all of a role. Returns their names.

        Raises NotFound when there is none, and Unavailable when one does not come back: the rest then go on
        as they are.
        """
        async with self._changing:
            chosen = self._chosen(target)
            await self._roll((worker, worker.plan) for worker in chosen)
            return [worker.plan.worker for worker in chosen]

    def restart_soon(self, target: str) -> list[str]:
        """Begin what `restart` does; what goes wrong is logged. Raises NotFound."""
        names = [worker.plan.worker for worker in self._chosen(target)]

        async def restart() -> None:
            try:
                await self.restart(target)
            except VmsError as error:
                log.error("a restart that was asked for did not end well", target=target, reason=str(error))

        self._in_background(restart())
        return names

    def _chosen(self, target: str) -> list[Worker]:
        chosen = [
            worker for worker in self._workers.values() if target in (worker.plan.worker, worker.plan.role)
        ]
        if not chosen:
            names = sorted({n for w in self._workers.values() for n in (w.plan.role, w.plan.worker)})
            raise NotFound(f"no process or role {target[:64]!r}; there are {', '.join(names)}")
        return chosen

    async def replace(self, plans: Sequence[WorkerPlan]) -> list[str]:
        """Run `plans` instead: end what is not among them, restart what is changed, start what is new.

        Returns the names of all these. Raises Unavailable when a changed one does not come back; those that
        were to follow then run on as they were.
        """
        async with self._changing:
            names = {plan.worker for plan in plans}
            gone = [worker for name, worker in self._workers.items() if name not in names]
            new = [plan for plan in plans if plan.worker not in self._workers]
            old = [(self._workers[plan.worker], plan) for plan in plans if plan.worker in self._workers]
            changed = [(worker, plan) for worker, plan in old if plan.fingerprint() != worker.fingerprint]
            for worker, plan in old:
                if (worker, plan) not in changed:
                    worker.plan = plan  # how it is ended may be another one now
            for worker in sorted(gone, key=lambda worker: worker.plan.stop_order):
                await self._remove(worker)
            if self._stopping:
                raise Unavailable("the system is stopping")
            for plan in new:
                self._bring_up(plan, None)
            await self._roll(changed)
            return [
                *(worker.plan.worker for worker in gone),
                *(plan.worker for plan in new),
                *(plan.worker for _, plan in changed),
            ]

    def status(self) -> worker_pb2.ProcessList:
        """Every process, this one first."""
        own = report.own_status(self._usage.of(os.getpid()), self._loop_lag_s, self._link.restarts)
        others = (report.process_status(worker, self._usage) for worker in self._workers.values())
        return worker_pb2.ProcessList(processes=[own, *others])

    def worker_statuses(self) -> list[worker_pb2.WorkerStatus]:
        """What the workers said last; of those that run."""
        return [worker.status for worker in self._workers.values() if worker.status is not None]

    def metrics(self) -> Iterable[MetricFamily]:
        return report.metrics(self._workers.values(), self._usage)

    def _bring_up(self, plan: WorkerPlan, record: records.Record | None) -> bool:
        """Run `plan`, adopting the process of `record`. Returns False when that was started from another plan."""
        worker = Worker(plan, self._timings, self._spawn, self._changed)
        self._workers[plan.worker] = worker
        process = None if record is None else Process.find(record.pid, record.start_ticks)
        if record is not None and process is not None:
            log.info("adopted", worker=plan.worker, pid=process.pid)
            worker.adopt(process, record.fingerprint, record.restarts)
        else:
            worker.restarts = 0 if record is None else record.restarts + 1
            worker.start()
        health = self._health[plan.worker] = HealthCheck(worker, self._clock, self._timings)
        check = asyncio.create_task(health.run(), name=f"health of {plan.worker}")
        check.add_done_callback(self._must_run)
        self._checks[plan.worker] = check
        return worker.process is None or worker.fingerprint == plan.fingerprint()

    async def _remove(self, worker: Worker) -> None:
        self._checks.pop(worker.plan.worker).cancel()
        del self._health[worker.plan.worker]
        await worker.stop()
        del self._workers[worker.plan.worker]
        self._save()

    async def _roll(self, changes: Iterable[tuple[Worker, WorkerPlan]]) -> None:
        for worker, plan in changes:
            if self._stopping:
                raise Unavailable("the system is stopping")
            if not await worker.restart(plan):
                raise Unavailable(
                    f"{plan.worker} does not come back ({worker.detail or 'not ready'}); "
                    "what was to follow it was left alone"
                )

    async def _replace_outdated(self, plans: Collection[WorkerPlan]) -> None:
        async with self._changing:
            try:
                await self._roll((self._workers[plan.worker], plan) for plan in plans)
            except Unavailable as error:
                log.error("adopted processes run with an old configuration", reason=str(error))

    async def _dismiss(self, record: records.Record) -> None:
        """End a process of an earlier supervisor that has no plan any more."""
        process = Process.find(record.pid, record.start_ticks)
        if process is None:
            return
        log.info("ending a process that is not wanted any more", worker=record.worker, pid=record.pid)
        plan = WorkerPlan(record.role, record.worker, ())
        worker = Worker(plan, self._timings, self._spawn, lambda change: None)
        worker.adopt(process, record.fingerprint, record.restarts)
        await worker.stop()

    def _spawn(self, plan: WorkerPlan) -> Process:
        plan.prepare()
        lifeline = self._link.lifeline
        fds = self._inherit | dict(plan.fds)
        environment = {name: value for name, value in os.environ.items() if name not in _OWN_VARIABLES}
        environment |= child.environment(plan.role, plan.worker, self._run_dir, lifeline=lifeline, fds=fds)
        environment |= plan.env
        argv: Sequence[str] = plan.argv
        passed = set(fds.values()) | (set() if lifeline is None else {lifeline})
        if self._others is not None:
            reading, writing = self._others
            if plan.control is None:
                argv = foreign.command(reading, argv)
                passed.add(reading)
            else:
                passed.add(writing)
        if self._fork_server is not None and plan.control is not None:
            forked = self._fork_server.fork(plan.worker, environment, sorted(passed))
            if forked is not None:
                return forked
        return Process.spawn(argv, environment, passed)

    def _changed(self, change: WorkerChange) -> None:
        self._save()
        health = self._health.get(change.worker)
        if health is not None:
            health.look()
        self._on_change(change)

    def _save(self) -> None:
        running = [
            records.Record(
                worker=worker.plan.worker,
                role=worker.plan.role,
                pid=worker.process.pid,
                start_ticks=worker.process.start_ticks,
                stop_order=worker.plan.stop_order,
                fingerprint=worker.fingerprint,
                restarts=worker.restarts,
            )
            for worker in self._workers.values()
            if worker.process is not None
        ]
        try:
            records.write(self._run_dir, running)
        except OSError as error:
            log.error("the list of processes cannot be written", reason=str(error))

    def _own_pids(self) -> list[int]:
        """This process and those that it watches."""
        running = (worker.process for worker in self._workers.values())
        return [os.getpid(), *(process.pid for process in running if process is not None)]

    async def _measure(self) -> None:
        turn = 0
        while True:
            pids = self._own_pids()
            self._usage.sample(pids)
            if turn % PROPORTIONAL_TURNS == 0:
                for pid in pids:
                    self._usage.set_proportional(pid, await asyncio.to_thread(proportional_bytes, pid))
            turn += 1
            _reap_orphans(self._own_pids())
            await asyncio.sleep(self._timings.poll_s)

    def _in_background(self, work: "asyncio._CoroutineLike[None]") -> None:
        task = asyncio.create_task(work)
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    def _must_run(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.healthy = False  # no watchdog is told that all is well; whoever started us starts another
            log.critical("a part of the supervisor has ended", part=task.get_name(), exc_info=error)


def _reap_orphans(known: Collection[int]) -> None:
    """Take the status of children that nobody watches: what a worker left behind comes to us (ForkServer)."""
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
            if ended.si_pid in known:
                return  # whoever watches it takes it
            os.waitpid(ended.si_pid, os.WNOHANG)
