"""How the footage of cameras ended before this process recorded them.

Asked of the keepers once a camera, when its recording begins. The answer may come late: the gap log takes it then, too.

Belongs here: asking, and what the answers of several volumes mean together. Does not: the gaps that follow
(gaps), the answers (keeper).
"""

import asyncio
from collections.abc import Callable, Sequence

from vms.common.ids import CameraId
from vms.format.hybrid import PreviousFile
from vms.media import Gap, GapReason
from vms.storage.errors import KeeperAway, StorageError
from vms.storage.keeping import History, HistoryQuestion, Keeping

BATCH = 16  # cameras a question: the keeper may have to repair a torn file of each
RETRY_S = 1.0
PATIENCE_S = 15.0  # with a volume that its keeper cannot read; then its recordings are left out


class Precedents:
    """Asks, and calls `learned` with what came before a camera's recording began.

    That is the gap that lasted then, None when there is none, and the last file, None when it has no proof to link to.
    ended: is called with gaps whose end nobody had told, now that it is known.
    """

    def __init__(
        self,
        keepers: Sequence[Keeping],
        learned: Callable[[CameraId, Gap | None, PreviousFile | None], None],
        ended: Callable[[CameraId, Gap], None],
    ) -> None:
        self._keepers = keepers
        self._learned = learned
        self._ended = ended
        self._open: dict[CameraId, int] = {}  # since when each is recorded
        self._asked: set[CameraId] = set()
        self._failing_since_s: float | None = None
        self._changed = asyncio.Event()
        self._answered = asyncio.Event()
        self._answered.set()

    def ask(self, camera_id: CameraId, before_ns: int) -> None:
        """Ask how footage of a camera ended before a time, unless that was done before."""
        if camera_id not in self._asked:
            self._asked.add(camera_id)
            self._open[camera_id] = before_ns
            self._answered.clear()
            self._changed.set()

    def drop(self, camera_id: CameraId) -> None:
        """An answer for a camera is no longer of interest; when it is recorded again, that is asked anew."""
        self._asked.discard(camera_id)
        self._open.pop(camera_id, None)

    async def answered(self) -> None:
        """Wait until nothing is asked any more."""
        await self._answered.wait()

    async def run(self) -> None:
        """Ask what there is to ask, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self._open:
                batch = dict(list(self._open.items())[:BATCH])
                if await self._ask(batch):
                    self._failing_since_s = None
                else:
                    await asyncio.sleep(RETRY_S)
            self._answered.set()

    async def _ask(self, before_ns: dict[CameraId, int]) -> bool:
        """Whether all keepers answered, those aside whose volume cannot be read for long."""
        histories = await self._gather(HistoryQuestion(before_ns))
        if histories is None:
            return False
        ends: dict[CameraId, int] = {}
        for history in histories:
            for camera_id, end_ns in history.last_end_ns.items():
                ends[camera_id] = max(end_ns, ends.get(camera_id, end_ns))
        before = {
            camera_id: Gap(end_ns, None, GapReason.SYSTEM_STOPPED, "the system was not running")
            for camera_id, end_ns in ends.items()
        }
        for camera_id, gap in (each for history in histories for each in history.lasting):
            if ends.get(camera_id, 0) <= gap.start_ns:
                before[camera_id] = gap
            elif not await self._end(camera_id, gap, before_ns[camera_id]):
                return False
        for camera_id in before_ns:
            if self._open.pop(camera_id, None) is not None:
                self._learned(camera_id, before.get(camera_id), _last_file(histories, camera_id))
        return True

    async def _end(self, camera_id: CameraId, gap: Gap, before_ns: int) -> bool:
        """Footage came after a gap whose end was not committed: it ends where that begins."""
        question = HistoryQuestion({camera_id: before_ns}, {camera_id: gap.start_ns})
        histories = await self._gather(question)
        if histories is None:
            return False
        starts = [each.resumed_ns[camera_id] for each in histories if camera_id in each.resumed_ns]
        if starts:
            self._ended(camera_id, Gap(gap.start_ns, min(starts), gap.reason, gap.detail))
        return True

    async def _gather(self, question: HistoryQuestion) -> list[History] | None:
        answers = await asyncio.gather(
            *(keeper.history(question) for keeper in self._keepers), return_exceptions=True
        )
        histories = []
        for answer in answers:
            if isinstance(answer, History):
                histories.append(answer)
            elif not isinstance(answer, StorageError):
                raise answer
            elif isinstance(answer, KeeperAway) or not self._gives_up():
                return None
        return histories

    def _gives_up(self) -> bool:
        """Whether volumes that cannot be read have been waited for long enough."""
        now_s = asyncio.get_running_loop().time()
        if self._failing_since_s is None:
            self._failing_since_s = now_s
        return now_s - self._failing_since_s > PATIENCE_S


def _last_file(histories: Sequence[History], camera_id: CameraId) -> PreviousFile | None:
    """The file of the volume on which footage ended last; none when that one has no proof."""
    newest = max(
        (history for history in histories if camera_id in history.last_end_ns),
        key=lambda history: history.last_end_ns[camera_id],
        default=None,
    )
    return newest.last_file.get(camera_id) if newest is not None else None
