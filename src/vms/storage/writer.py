"""A volume's writer: one thread that appends, and a few that sync and finish.

The loop queues fragments, bounded in bytes and never waiting. The thread takes them in order and calls
``pwritev`` with the buffers as they came, which releases the GIL. Syncing and closing files, which wait for
the disk, have threads of their own, so that they hold up neither appends nor each other.

    loop ──SimpleQueue──▶ writer thread: create, append
                               └──▶ finishing threads: sync every second; close

A segment that the disk refuses is told to its owner and closed as it is; its keeper repairs it. The others go on.

Belongs here: queue and threads. Does not: the steps of a file (finishing), what is written (recorder),
which volume (service).
"""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import Enum, auto
from queue import Empty, SimpleQueue

from vms.format.hybrid import WrittenFragment
from vms.storage import disk, finishing
from vms.storage.errors import StorageError, VolumeUnavailable
from vms.storage.live import LiveSegment
from vms.storage.recording_volume import RecordingVolume
from vms.telemetry.logs import get_logger

QUEUE_LIMIT_BYTES = 256 << 20  # over 2 s of 200 cameras at 4 Mb/s: longer than a disk's own hiccups
SYNC_INTERVAL_S = 1.0  # what a power loss may take
GATHER_S = 0.05  # to wake the thread for each fragment costs more than to write it
FINISHING_THREADS = 4  # syncs of one file system go better together: they share journal commits

log = get_logger(__name__)


class _Step(Enum):
    CREATE = auto()
    APPEND = auto()
    FINISH = auto()
    STOP = auto()


_Job = tuple[_Step, LiveSegment | None, WrittenFragment | None]


class VolumeWriter:
    """Writes one volume. Public methods are the loop's; those of the threads say so.

    Counters: fragments_written, bytes_written, segments_finished, segments_failed, overruns (of recorders),
    sync_rounds, sync_s (what the threads spent syncing), last_sync_s (how long the newest round took).
    """

    def __init__(
        self,
        volume: RecordingVolume,
        *,
        queue_limit_bytes: int = QUEUE_LIMIT_BYTES,
        sync_interval_s: float = SYNC_INTERVAL_S,
    ) -> None:
        self.volume = volume
        self.fragments_written = 0
        self.bytes_written = 0
        self.segments_finished = 0
        self.segments_failed = 0
        self.overruns = 0
        self.sync_rounds = 0
        self.sync_s = 0.0
        self.last_sync_s = 0.0
        self._queue_limit_bytes = queue_limit_bytes
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
        return self.queue_bytes > self._queue_limit_bytes

    @property
    def ready(self) -> bool:
        """Whether a new segment can go here; after an overrun, once most of the queue is written."""
        return self.volume.error is None and self.queue_bytes <= self._queue_limit_bytes // 4

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name=f"write-{self.volume.path.name}", daemon=True)
        self._thread.start()

    def begin(self, live: LiveSegment) -> None:
        """Create the file of a new segment."""
        self.volume.live[live.identity.segment_id] = live
        self._queue.put((_Step.CREATE, live, None))

    def append(self, live: LiveSegment, written: WrittenFragment) -> None:
        """Queue a fragment. It is always taken; whoever queues looks at `overrun` after it."""
        self._queued_bytes += written.fragment.size
        self._queue.put((_Step.APPEND, live, written))

    def finish(self, live: LiveSegment) -> None:
        """Close a segment to which nothing will be appended; `live.finished` is set when that is done."""
        self._queue.put((_Step.FINISH, live, None))

    async def stop(self, timeout_s: float) -> None:
        """Finish what is queued, then end the threads; gives up on a disk that does not answer."""
        self._queue.put((_Step.STOP, None, None))
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

    # -- told by the threads, on the loop ---------------------------------------------------------------

    def _began(self, live: LiveSegment) -> None:
        self.volume.works()
        live.owner.segment_began(live)

    def _failed(self, live: LiveSegment, error: StorageError) -> None:
        self.segments_failed += 1
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
                time.sleep(min(GATHER_S, max(sync_at_s - time.monotonic(), 0.0)))
            wait_s = sync_at_s - time.monotonic()
            if wait_s <= 0:
                self._start_sync()
                sync_at_s = time.monotonic() + self._sync_interval_s
                continue
            try:
                step, live, written = self._queue.get(timeout=wait_s if self._dirty else None)
            except Empty:
                continue
            if live is None:
                return
            if step is _Step.APPEND:
                assert written is not None
                self._append(live, written)
                self._taken_bytes += written.fragment.size
            elif step is _Step.CREATE:
                self._attempt(live, lambda each: finishing.create(self.volume, each))
            else:
                self._dirty.discard(live)
                self._finishers.submit(self._finish, live)

    def _append(self, live: LiveSegment, written: WrittenFragment) -> None:
        if live.error is not None:
            return
        buffers, offset = written.buffers, written.fragment.offset
        if not self._attempt(live, lambda each: disk.write_all(each.descriptor, buffers, offset)):
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
        started_s = time.monotonic()
        for part in slices:
            self._finishers.submit(self._sync, part, started_s)

    # -- the finishing threads --------------------------------------------------------------------------

    def _sync(self, part: list[LiveSegment], round_started_s: float) -> None:
        started_s = time.monotonic()
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
            finishing.close(live)
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
