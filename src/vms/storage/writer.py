"""A volume's writer: one thread that appends, and a few that sync and finish.

The loop queues fragments, bounded in bytes and never waiting. The thread takes them in order, hashes and writes
each in one piece, which releases the GIL. Syncing and closing files, which wait for
the disk, have threads of their own, so that they hold up neither appends nor each other.

    loop ──SimpleQueue──▶ writer thread: create, append
                               └──▶ finishing threads: sync every second; close

A segment that the disk refuses is told to its owner and closed as it is; its keeper repairs it. The others go on.
A disk that does not answer for seconds is said to be stalled; what is queued for it is written when it does.

Belongs here: queue and threads. Does not: the steps of a file (finishing), what is written (recorder),
which volume (volume_choice).
"""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from enum import Enum, auto
from queue import Empty, SimpleQueue

from vms.format.hybrid import Signer, WrittenFragment
from vms.storage import finishing
from vms.storage.disk_load import DiskLoad
from vms.storage.errors import FolderUnusable, StorageError, VolumeUnavailable
from vms.storage.live import LiveSegment
from vms.storage.recording_volume import RecordingVolume
from vms.telemetry.logs import get_logger

QUEUE_LIMIT_BYTES = 256 << 20  # over 2 s of 200 cameras at 4 Mb/s: longer than a disk's own hiccups
QUEUES_LIMIT_BYTES = 384 << 20  # of all volumes of a process together
STALL_S = 2.0  # a write that takes longer is no hiccup
SYNC_STALL_S = 10.0  # a round of syncs likewise: every camera's files wait in it
STALL_LOOK_S = 0.5
SYNC_INTERVAL_S = 1.0  # what a power loss may take
GATHER_S = 0.05  # to wake the thread for each fragment costs more than to write it
FINISHING_THREADS = 4  # syncs of one file system go better together: they share journal commits

log = get_logger(__name__)


class _Step(Enum):
    CREATE = auto()
    APPEND = auto()
    FINISH = auto()
    STOP = auto()


_Job = tuple[_Step, LiveSegment | None, WrittenFragment | None, float]  # and when it was queued, monotonic


class QueueBudget:
    """What the queues of all volumes may hold together, so that several slow disks do not add up.

    While they hold more, each may have its equal share: one that writes well is not stopped for others that do not.
    """

    def __init__(self, limit_bytes: int = QUEUES_LIMIT_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self.writers: list[VolumeWriter] = []

    @property
    def used_bytes(self) -> int:
        return sum(writer.queue_bytes for writer in self.writers)

    def share_bytes(self, writer: "VolumeWriter") -> int:
        """How much a writer's queue may hold now."""
        if self.used_bytes <= self.limit_bytes:
            return writer.queue_limit_bytes
        return min(writer.queue_limit_bytes, self.limit_bytes // len(self.writers))


class VolumeWriter:
    """Writes one volume. Public methods are the loop's; those of the threads say so.

    load: how busy its disk is.
    Counters: fragments_written, bytes_written, segments_finished, segments_failed, overruns (of recorders),
    unsigned (segments closed without a signature although there is a signer), stalls (times the disk stopped
    answering), sync_rounds, sync_s (what the threads spent syncing), last_sync_s (how long the newest round took).
    """

    def __init__(
        self,
        volume: RecordingVolume,
        *,
        queue_limit_bytes: int = QUEUE_LIMIT_BYTES,
        sync_interval_s: float = SYNC_INTERVAL_S,
        signer: Signer | None = None,
        budget: QueueBudget | None = None,
        stall_s: float = STALL_S,
    ) -> None:
        """signer: signs what is closed; None: nothing is hashed or signed. budget: shared by the writers of a process.

        stall_s: how long a queued fragment may wait until the disk counts as stalled.
        """
        self.volume = volume
        self.load = DiskLoad()
        self.queue_limit_bytes = queue_limit_bytes
        self.stalled = False
        self.stalls = 0
        self.unsigned = 0
        self.fragments_written = 0
        self.bytes_written = 0
        self.segments_finished = 0
        self.segments_failed = 0
        self.overruns = 0
        self.sync_rounds = 0
        self.sync_s = 0.0
        self.last_sync_s = 0.0
        self._signer = signer
        self._budget = budget or QueueBudget()
        self._budget.writers.append(self)
        self._stall_s = stall_s
        self._stall_look: asyncio.TimerHandle | None = None
        self._job_queued_s: float | None = (
            None  # when what the thread is doing was queued; the writer thread's
        )
        self._sync_began_s = 0.0  # the current round of syncs
        self._sync_interval_s = sync_interval_s
        self._queue: SimpleQueue[_Job] = SimpleQueue()
        self._queued_bytes = 0  # ever; the loop's
        self._taken_bytes = 0  # ever; the writer thread's
        self._dirty: set[LiveSegment] = set()  # written and not synced
        self._syncing = 0  # slices of the current round that are not done
        self._lock = threading.Lock()  # of what finishing threads count
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._finishers = ThreadPoolExecutor(FINISHING_THREADS, thread_name_prefix="finish")

    @property
    def queue_bytes(self) -> int:
        """Bytes that wait for the disk."""
        return self._queued_bytes - self._taken_bytes

    @property
    def overrun(self) -> bool:
        """The disk is too slow: nothing more should be queued now."""
        return self.queue_bytes > self._budget.share_bytes(self)

    @property
    def oldest_wait_s(self) -> float:
        """How long what the disk is to take next has been waiting for it; 0 when nothing waits."""
        queued_s = self._job_queued_s
        return 0.0 if queued_s is None else time.monotonic() - queued_s

    @property
    def ready(self) -> bool:
        """Whether a new segment can go here; after an overrun, once most of the queue is written.

        One that is `stalled` can be ready: where there is another, that is the better choice (volume_choice).
        """
        return self.volume.error is None and self.queue_bytes <= self._budget.share_bytes(self) // 4

    @property
    def free_bytes_per_s(self) -> float:
        """What more its disk would take; below 0 when more is expected of it than that."""
        return self.load.free_bytes_per_s

    @property
    def spare_bytes(self) -> int:
        """What may be written before something has to go."""
        return self.volume.spare_bytes

    def expect(self, bytes_per_s: float) -> None:
        """A segment that needs so much will be begun here."""
        self.load.expect(bytes_per_s)

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name=f"write-{self.volume.path.name}", daemon=True)
        self._thread.start()
        self._look_for_stall()

    def begin(self, live: LiveSegment) -> None:
        """Create the file of a new segment."""
        self.volume.live[live.identity.segment_id] = live
        self._queue.put((_Step.CREATE, live, None, time.monotonic()))

    def append(self, live: LiveSegment, written: WrittenFragment) -> None:
        """Queue a fragment. It is always taken; whoever queues looks at `overrun` after it."""
        self._queued_bytes += written.fragment.size
        self._queue.put((_Step.APPEND, live, written, time.monotonic()))

    def finish(self, live: LiveSegment) -> None:
        """Close a segment to which nothing will be appended; `live.finished` is set when that is done."""
        self._queue.put((_Step.FINISH, live, None, time.monotonic()))

    async def stop(self, timeout_s: float) -> None:
        """Finish what is queued, then end the threads; gives up on a disk that does not answer."""
        if self._stall_look is not None:
            self._stall_look.cancel()
        self._queue.put((_Step.STOP, None, None, time.monotonic()))
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, timeout_s)
        stuck = [live for live in self.volume.live.values() if not live.finished.is_set()]
        if stuck:
            log.error(
                "a disk did not take its last recordings in time; they are repaired by its keeper",
                path=str(self.volume.path),
                segments=len(stuck),
            )
        await asyncio.to_thread(self._finishers.shutdown, wait=not stuck, cancel_futures=bool(stuck))
        self._loop = None
        with suppress(ValueError):
            self._budget.writers.remove(self)

    # -- on the loop ------------------------------------------------------------------------------------

    def _look_for_stall(self) -> None:
        assert self._loop is not None
        syncing_s = time.monotonic() - self._sync_began_s if self._syncing else 0.0
        stalled = self.oldest_wait_s > self._stall_s or syncing_s > max(SYNC_STALL_S, self._stall_s)
        if stalled and not self.stalled:
            self.stalls += 1
        self.stalled = stalled
        self.volume.stall(stalled)
        self._stall_look = self._loop.call_later(min(STALL_LOOK_S, self._stall_s / 4), self._look_for_stall)

    # -- told by the threads, on the loop ---------------------------------------------------------------

    def _began(self, live: LiveSegment) -> None:
        self.volume.works()
        live.owner.segment_began(live)

    def _failed(self, live: LiveSegment, error: StorageError) -> None:
        self.segments_failed += 1
        if not isinstance(error, FolderUnusable):
            self.volume.fail(error)
        live.owner.segment_failed(live, error)

    def _finished(self, live: LiveSegment, failure: StorageError | None) -> None:
        self.segments_finished += 1
        self.volume.live.pop(live.identity.segment_id, None)
        if failure is not None:
            self.volume.fail(failure)
        if live.created:
            self.volume.on_closed(live.path.relative_to(self.volume.path).as_posix(), live.size_bytes)
        live.finished.set()

    def _tell(self, call: Callable[[], None]) -> None:
        """From a thread: run `call` on the loop."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call)

    # -- the writer thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        sync_at_s = time.monotonic() + self._sync_interval_s
        while True:
            if self._queue.empty():
                self._job_queued_s = None
                time.sleep(min(GATHER_S, max(sync_at_s - time.monotonic(), 0.0)))
            wait_s = sync_at_s - time.monotonic()
            if wait_s <= 0:
                self._start_sync()
                sync_at_s = time.monotonic() + self._sync_interval_s
                continue
            try:
                step, live, written, queued_s = self._queue.get(timeout=wait_s if self._dirty else None)
            except Empty:
                continue
            if live is None:
                return
            self._job_queued_s = queued_s
            if step is _Step.APPEND:
                assert written is not None
                self._append(live, written)
                self._taken_bytes += written.fragment.size
            elif step is _Step.CREATE:
                with self.load.working():
                    self._attempt(live, lambda each: finishing.create(self.volume, each))
            else:
                self._dirty.discard(live)
                self._finishers.submit(self._finish, live)

    def _append(self, live: LiveSegment, written: WrittenFragment) -> None:
        if live.error is not None:
            return
        digest = self._signer is not None
        with self.load.working(written.fragment.size):
            if not self._attempt(live, lambda each: finishing.append(each, written, digest=digest)):
                return
        live.visible += 1
        self.fragments_written += 1
        self.bytes_written += written.fragment.size
        self._dirty.add(live)
        if not live.announced:
            live.announced = True
            self._tell(lambda: self._began(live))

    def _start_sync(self) -> None:
        # A round that takes longer than the interval delays the next, and shows in last_sync_s.
        if not self._dirty or self._syncing:
            return
        batch, self._dirty = list(self._dirty), set()
        slices = [batch[first::FINISHING_THREADS] for first in range(min(FINISHING_THREADS, len(batch)))]
        self._syncing = len(slices)
        self._sync_began_s = started_s = time.monotonic()
        for part in slices:
            self._finishers.submit(self._sync, part, started_s)

    # -- the finishing threads --------------------------------------------------------------------------

    def _sync(self, part: list[LiveSegment], round_started_s: float) -> None:
        started_s = time.monotonic()
        with self.load.working():
            for live in part:
                self._attempt(live, finishing.sync)
        now_s = time.monotonic()
        with self._lock:
            self.sync_s += now_s - started_s
            self._syncing -= 1
            if not self._syncing:
                self.sync_rounds += 1
                self.last_sync_s = now_s - round_started_s

    def _finish(self, live: LiveSegment) -> None:
        failure: StorageError | None = None
        try:
            with self.load.working():
                signed = finishing.close(live, self._signer, self.volume.wall_ns())
            if not signed:
                with self._lock:
                    self.unsigned += 1
        except Exception as error:  # noqa: BLE001 - this thread's task ends here; the segment must not be lost
            failure = self._typed(error)
        self._tell(lambda: self._finished(live, failure))

    # -- any thread -------------------------------------------------------------------------------------

    def _attempt(self, live: LiveSegment, step: Callable[[LiveSegment], None]) -> bool:
        """Do one step for a segment; what goes wrong fails this segment, not the thread."""
        try:
            step(live)
            return True
        except Exception as error:  # noqa: BLE001 - one camera's file must never end the writing of the others
            failure = self._typed(error)
            if live.error is None:
                live.error = failure
                self._tell(lambda: self._failed(live, failure))
            return False

    def _typed(self, error: Exception) -> StorageError:
        if isinstance(error, StorageError):
            return error
        if isinstance(error, OSError):
            return VolumeUnavailable.from_os_error(self.volume.path, error)
        log.error("writing a recording failed unexpectedly", path=str(self.volume.path), exc_info=error)
        return VolumeUnavailable(self.volume.path, f"an unexpected {type(error).__name__}: {error}")
