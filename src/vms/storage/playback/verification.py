"""Whether recordings are as they were recorded, for the API: the same checks as `vms verify` makes.

Every byte of a recording is read and hashed, in one thread, with pauses, so that recording and playback go first. What
is known of a closed recording is remembered for a while; what is too much for one answer is left for the next, which
goes on where this one stopped.

Belongs here: limits, what is remembered, how recordings follow each other. Does not: the checks (vms.evidence), their
words (verdicts).
"""

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from uuid import UUID

from vms.common.clock import rfc3339
from vms.common.errors import NotFound, Unavailable
from vms.common.ids import CameraId
from vms.evidence.errors import EvidenceKeysUnusable, NotEvidence
from vms.evidence.recording_check import check_recording
from vms.evidence.trust import Trust
from vms.format.errors import FormatError
from vms.format.hybrid import PreviousFile
from vms.format.hybrid.integrity import chain, split_digests
from vms.storage.playback.errors import RangeTooLong, TooManyVerifications
from vms.storage.playback.ports import RecordingStore
from vms.storage.playback.search import DAY_NS, HOUR_NS, check_range
from vms.storage.playback.verdicts import Verification, VerifiedSegment, judged, verdict
from vms.storage.segment import OpenFile, OpenSegment, Segment
from vms.telemetry.logs import get_logger

MOST_NS = DAY_NS + HOUR_NS
MOST_BYTES = 2 << 30
"""Read for one answer; one recording is always read."""
MOST_WAITING = 8
REMEMBERED = 4096
REMEMBERED_S = 600.0
"""Somebody may change a file after it was verified: then it is called verified for so long."""
_PAUSE_BYTES = 16 << 20
_PAUSE_S = 0.002

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Known:
    """What was found of a recording of `size_bytes`, until loop time `until_s`."""

    found: VerifiedSegment
    size_bytes: int
    trust: Trust
    until_s: float


class _Stopped(Exception):
    """Nobody waits for the answer any more."""


class RecordingVerifier:
    """Verifies what a RecordingStore holds, one request at a time. Implements the API's Verifier."""

    def __init__(
        self, recordings: RecordingStore, trust: Callable[[], Trust], *, most_bytes: int = MOST_BYTES
    ) -> None:
        """trust: reads whose signatures count; blocks. Raises EvidenceKeysUnusable."""
        self.verified_bytes = 0
        self._store = recordings
        self._trust = trust
        self._most_bytes = most_bytes
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="verification")
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._known: OrderedDict[UUID, _Known] = OrderedDict()

    async def stop(self) -> None:
        """End the thread; what is being verified fails."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def verify(self, camera_id: CameraId, start_ns: int, end_ns: int) -> Verification:
        """The recordings that share time with the range, by start.

        `partial` where they were too many: asking again goes on. Raises RangeInvalid, RangeTooLong, and
        TooManyVerifications.
        """
        check_range(start_ns, end_ns)
        if end_ns - start_ns > MOST_NS:
            raise RangeTooLong(
                f"the range is longer than {MOST_NS // HOUR_NS} h; ask for it in parts, the first up to "
                f"{rfc3339(start_ns + DAY_NS)}, or use `vms verify` on the volume's directory"
            )
        if self._waiting >= MOST_WAITING:
            raise TooManyVerifications(f"{MOST_WAITING} others wait for verification; try again later")
        self._waiting += 1
        try:
            async with self._turn:
                return await self._verify(camera_id, start_ns, end_ns)
        finally:
            self._waiting -= 1

    # -- private ----------------------------------------------------------------------------------------

    async def _verify(self, camera_id: CameraId, start_ns: int, end_ns: int) -> Verification:
        trust = await self._run(self._read_trust)
        found: list[VerifiedSegment] = []
        read_bytes, complete = 0, True
        for segment in await self._store.segments(camera_id, start_ns, end_ns):
            known = self._remembered(segment, trust)
            if known is None and segment.closed:
                if read_bytes and read_bytes + segment.size_bytes > self._most_bytes:
                    complete = False
                    break
                read_bytes += segment.size_bytes
            try:
                found.append(known or await self._look_at(segment, trust))
            except NotFound:  # deleted by retention since it was listed
                continue
        linked = [await self._link(each, found) for each in found]
        return verdict(linked, complete=complete)

    def _read_trust(self) -> Trust:
        try:
            return self._trust()
        except EvidenceKeysUnusable as error:
            log.warning("no signature can be trusted", reason=str(error))
            return Trust()

    def _remembered(self, segment: Segment, trust: Trust) -> VerifiedSegment | None:
        known = self._known.get(segment.id)
        if known is None or known.trust != trust or known.size_bytes != segment.size_bytes:
            return None
        if known.until_s < asyncio.get_running_loop().time():
            del self._known[segment.id]
            return None
        self._known.move_to_end(segment.id)
        return known.found

    async def _look_at(self, segment: Segment, trust: Trust) -> VerifiedSegment:
        """Raises NotFound."""
        if not segment.closed:
            return _unverified(segment, "recording", "it is being recorded, and is signed when it is closed")
        try:
            opened = await self._store.open_file(segment.id)
        except Unavailable as error:
            return _unverified(segment, "unreadable", str(error))
        stopped = threading.Event()
        future = self._thread.submit(self._check, opened, trust, stopped)
        future.add_done_callback(lambda _: opened.close())  # also when it is cancelled before it ran
        try:
            found = await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            stopped.set()
            raise
        if found.state != "unreadable":
            until_s = asyncio.get_running_loop().time() + REMEMBERED_S
            self._known[segment.id] = _Known(found, segment.size_bytes, trust, until_s)
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return found

    def _check(self, opened: OpenFile, trust: Trust, stopped: threading.Event) -> VerifiedSegment:
        """Runs in the thread."""
        read = [0]

        def progress(done_bytes: int) -> None:
            if stopped.is_set():
                raise _Stopped
            read[0] += done_bytes
            if read[0] >= _PAUSE_BYTES:
                read[0] = 0
                time.sleep(_PAUSE_S)  # others want the disk and the interpreter, too

        segment = opened.segment
        try:
            size = opened.size_bytes
            report = check_recording(opened.read_at, size, trust, progress)
        except OSError as error:
            return _unverified(segment, "unreadable", error.strerror or str(error))
        except (NotEvidence, FormatError, Unavailable) as error:
            return _unverified(segment, "unreadable", str(error))
        self.verified_bytes += size
        return judged(segment, report)

    # -- which recording it follows ---------------------------------------------------------------------

    async def _link(self, segment: VerifiedSegment, others: Sequence[VerifiedSegment]) -> VerifiedSegment:
        """`segment`, and whether the recording that it names before it is what it was then."""
        previous = segment.previous
        if previous is None:
            if segment.signed_ns is None:
                return segment
            return segment.linked(None, "it names no recording before it: its recorder knew none")
        before = next((each for each in others if each.id == previous.segment_id), None)
        if before is not None and before.chain_digest == previous.chain_digest:
            in_order = before.start_ns <= segment.start_ns
            return segment.linked(
                in_order, "" if in_order else "it begins before the recording that it follows"
            )
        try:
            opened = await self._store.open(previous.segment_id)
        except NotFound:
            return segment.linked(None, f"the recording before it, {previous.segment_id}, is no longer here")
        except Unavailable as error:
            return segment.linked(None, f"the recording before it cannot be read: {error}")
        future = self._thread.submit(_continues, opened, previous)
        future.add_done_callback(lambda _: opened.close())
        follows = await asyncio.wrap_future(future)
        if follows is None:
            return segment.linked(None, "the recording before it carries no proof")
        wrong = f"the recording before it, {previous.segment_id}, is not what it was then"
        return segment.linked(follows, "" if follows else wrong)

    async def _run(self, function: Callable[[], Trust]) -> Trust:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)


def _continues(before: OpenSegment, previous: PreviousFile) -> bool | None:
    """Whether `before` is what was named, at its end or when so much of it was written. Runs in the thread."""
    proof = before.file.proof
    if proof is None:
        return None
    digest = proof.statement.start_digest
    for leaf in split_digests(proof.digests):
        digest = chain(digest, [leaf])
        if digest == previous.chain_digest:
            return True
    return False


def _unverified(segment: Segment, state: str, detail: str) -> VerifiedSegment:
    return VerifiedSegment(segment.id, segment.start_ns, segment.end_ns, state, detail=detail)
