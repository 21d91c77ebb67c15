"""Exports in the background: one at a time, in the order in which they were asked for, over restarts.

    queued ─▶ running ─▶ done | failed        and cancelled, from queued and running
    all that has ended is forgotten after KEPT_NS, with its file

A job whose process ended meanwhile is begun anew at the next start, MOST_ATTEMPTS times at most.

Belongs here: the life of jobs. Does not: how an export is made (making), their files (job_files), bounds (job_rules).
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from vms.common.clock import Clock
from vms.common.errors import VmsError
from vms.common.ids import uuid7
from vms.storage.render.errors import JobNotFound, TooManyJobs
from vms.storage.render.job_files import read_jobs, remove_files, remove_job, write_job
from vms.storage.render.job_rules import KEPT_NS, MOST_ATTEMPTS, MOST_JOBS, check_order, likely_bytes
from vms.storage.render.making import ExportMaker, Made
from vms.storage.render.priority import be_nice
from vms.storage.render.progress import Progress, Stopped
from vms.storage.render.room import Room, is_full
from vms.storage.render.values import ExportJob, ExportOrder, JobState
from vms.telemetry.logs import get_logger

log = get_logger(__name__)

EXPIRY_S = 30.0  # between two looks at what has expired
_INTERNAL = "internal error; the log of the render process has the cause"
_Result = TypeVar("_Result")


class ExportJobs:
    """Counters: made, failed, cancelled. on_change: called when a job begins or ends."""

    def __init__(self, directory: Path, maker: ExportMaker, room: Room, clock: Clock) -> None:
        """directory: of the jobs; made when it is missing."""
        self.made = self.failed = self.cancelled = 0
        self.on_change: Callable[[], None] = lambda: None
        self._directory = directory
        self._maker = maker
        self._room = room
        self._clock = clock
        self._jobs: dict[str, ExportJob] = {}
        self._files = ThreadPoolExecutor(
            1, thread_name_prefix="export-jobs"
        )  # not behind an export that is made
        self._making = ThreadPoolExecutor(1, thread_name_prefix="export", initializer=be_nice)
        self._current: tuple[str, Progress, asyncio.Task[Made]] | None = None
        self._wanted = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._ended: dict[str, asyncio.Event] = {}

    @property
    def waiting(self) -> int:
        """How many have not ended."""
        return sum(not job.state.ended for job in self._jobs.values())

    async def start(self) -> None:
        """Take up what was begun before. Raises OSError."""
        for job in await self._in_thread(lambda: read_jobs(self._directory)):
            self._jobs[job.id] = job
            if not job.state.ended:
                await self._take_up(job)
        self._tasks = [asyncio.create_task(self._work()), asyncio.create_task(self._expire())]

    async def stop(self) -> None:
        """Leave what is being made; the next start begins it anew."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._making.shutdown(wait=False, cancel_futures=True)
        self._files.shutdown(wait=False)

    async def create(self, order: ExportOrder) -> ExportJob:
        """See values.Rendering."""
        check_order(order)
        if len(self._jobs) >= MOST_JOBS:
            raise TooManyJobs(f"{MOST_JOBS} exports are kept already; delete some")
        estimate = likely_bytes(order, await self._maker.estimate_bytes(order))
        await self._in_thread(lambda: self._room.reserve(estimate))
        now_ns = self._clock.wall_ns()
        job = ExportJob(str(uuid7(now_ns)), order, now_ns)
        await self._keep(job)
        self._wanted.set()
        return job

    def list(self) -> Sequence[ExportJob]:
        """The newest first."""
        return [self._as_it_stands(job) for job in sorted(self._jobs.values(), key=_age, reverse=True)]

    def get(self, job_id: str) -> ExportJob:
        """Raises JobNotFound."""
        job = self._jobs.get(job_id)
        if job is None:
            raise JobNotFound(job_id)
        return self._as_it_stands(job)

    async def cancel(self, job_id: str) -> None:
        """See values.Rendering."""
        job = self.get(job_id)
        if self._current is not None and self._current[0] == job_id:
            _, progress, task = self._current
            ended = self._ended.setdefault(job_id, asyncio.Event())
            asked_ns = self._clock.monotonic_ns()
            progress.stop()
            task.cancel()
            await ended.wait()
            took_ms = (self._clock.monotonic_ns() - asked_ns) // 1_000_000
            log.info("a running export was cancelled", export=job_id, took_ms=took_ms)
            if self._jobs[job_id].state is JobState.DONE:  # it was just about to end
                await self.cancel(job_id)
        elif job.state.ended:
            del self._jobs[job_id]
            await self._in_thread(lambda: remove_job(self._directory, job_id))
        else:
            self._jobs[job_id] = replace(
                job, state=JobState.CANCELLED
            )  # at once, so that it is not begun meanwhile
            await self._end(job, JobState.CANCELLED)

    # -- private ----------------------------------------------------------------------------------------

    async def _take_up(self, job: ExportJob) -> None:
        await self._in_thread(lambda: remove_files(self._directory, job.id))
        if job.attempts >= MOST_ATTEMPTS:
            await self._end(
                job,
                JobState.FAILED,
                f"the process that made it ended {job.attempts} times meanwhile; try a shorter range",
            )
        else:
            self._jobs[job.id] = replace(job, state=JobState.QUEUED)
            self._wanted.set()

    async def _work(self) -> None:
        while True:
            self._wanted.clear()
            queued = [job for job in self._jobs.values() if job.state is JobState.QUEUED]
            if not queued:
                await self._wanted.wait()
                continue
            job = min(queued, key=_age)
            try:
                await self._make(job)
            except Exception as error:  # the export ends here; the next one is made all the same
                log.error("an export failed for an unexpected reason", export=job.id, exc_info=error)
                await self._end(job, JobState.FAILED, _INTERNAL)

    async def _make(self, job: ExportJob) -> None:
        """One export, to its end. Cancelled itself, it leaves the job as one that is to be begun anew."""
        job = replace(job, state=JobState.RUNNING, attempts=job.attempts + 1)
        progress = Progress(self._making)
        task = asyncio.create_task(self._begin(job, progress))
        self._current = job.id, progress, task
        self.on_change()
        try:
            await self._see_through(job, task, progress)
        finally:
            self._current = None
            if (ended := self._ended.pop(job.id, None)) is not None:
                ended.set()

    async def _begin(self, job: ExportJob, progress: Progress) -> Made:
        await self._keep(job)
        return await self._maker.make(job.order, self._directory / job.id, progress)

    async def _see_through(self, job: ExportJob, task: "asyncio.Task[Made]", progress: Progress) -> None:
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            progress.stop()
            task.cancel()
            await asyncio.wait([task])
            raise
        await self._conclude(job, task)

    async def _conclude(self, job: ExportJob, task: "asyncio.Task[Made]") -> None:
        error = None if task.cancelled() else task.exception()
        if task.cancelled() or isinstance(error, Stopped):
            await self._end(job, JobState.CANCELLED)
        elif isinstance(error, VmsError):
            await self._end(job, JobState.FAILED, str(error))
        elif isinstance(error, OSError):
            await self._end(job, JobState.FAILED, _words(error))
        elif error is not None:
            log.error("an export failed for an unexpected reason", export=job.id, exc_info=error)
            await self._end(job, JobState.FAILED, _INTERNAL)
        else:
            made = task.result()
            job = replace(
                job,
                progress=1.0,
                size_bytes=made.size_bytes,
                file_name=made.file_name,
                verified=made.verified,
            )
            await self._end(job, JobState.DONE)

    async def _end(self, job: ExportJob, state: JobState, error: str | None = None) -> None:
        now_ns = self._clock.wall_ns()
        job = replace(
            job, state=state, error=error, finished_ns=now_ns, expires_ns=now_ns + KEPT_NS, stage=""
        )
        if state is JobState.DONE:
            self.made += 1
        else:
            self.failed += state is JobState.FAILED
            self.cancelled += state is JobState.CANCELLED
        try:
            if state is not JobState.DONE:
                await self._in_thread(lambda: remove_files(self._directory, job.id))
            await self._keep(job)
        except OSError as failure:  # it is as it is in memory; after a restart it is made again
            log.warning("the end of an export is not on disk", export=job.id, reason=failure.strerror)
            self._jobs[job.id] = job
        if error is not None:
            log.warning("an export failed", export=job.id, reason=error)
        self.on_change()

    async def _expire(self) -> None:
        while True:
            now_ns = self._clock.wall_ns()
            for job in list(self._jobs.values()):
                if job.expires_ns is not None and job.expires_ns <= now_ns:
                    del self._jobs[job.id]
                    await self._in_thread(lambda job=job: remove_job(self._directory, job.id))  # type: ignore[misc]
            await asyncio.sleep(EXPIRY_S)

    async def _keep(self, job: ExportJob) -> None:
        """Raises OSError."""
        await self._in_thread(lambda: write_job(self._directory, job))
        self._jobs[job.id] = job

    def _as_it_stands(self, job: ExportJob) -> ExportJob:
        if job.state.ended or self._current is None or self._current[0] != job.id:
            return job
        progress = self._current[1]
        return replace(job, progress=progress.share, stage=progress.stage, size_bytes=progress.size_bytes)

    async def _in_thread(self, work: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._files, work)


def _age(job: ExportJob) -> tuple[int, str]:
    return job.created_ns, job.id


def _words(error: OSError) -> str:
    if is_full(error):
        return "the disk of data_dir is full; make room there, or delete exports"
    return f"the file cannot be written: {error.strerror or error}; check the disk of data_dir"
