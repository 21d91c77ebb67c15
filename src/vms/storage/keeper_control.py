"""A keeper in another process: its questions and answers as messages on a control socket.

Belongs here: from `Keeping` to bytes and back. Does not: the socket (vms.bus.local), what is done (keeper).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from google.protobuf.message import DecodeError

from vms.bus.errors import BusUnavailable
from vms.bus.local import LocalClient
from vms.common.errors import InvalidInput, VmsError
from vms.common.evidence_lock import EvidenceLock
from vms.common.ids import CameraId
from vms.media import Gap
from vms.proto import storage_pb2
from vms.storage import keeper_messages as messages
from vms.storage.errors import KeeperAway, StorageError
from vms.storage.keeping import (
    EventRange,
    History,
    HistoryQuestion,
    KeeperState,
    Keeping,
    MediaReport,
    VolumeState,
)
from vms.storage.retention_rule import RetentionRule

SETTLE, PUT_GAPS, PUT_RETENTIONS = "settle", "put_gaps", "put_retentions"
PUT_EVENT_RANGES, PUT_LOCKS = "put_event_ranges", "put_locks"
HISTORY, EXCHANGE, STATE = "history", "exchange", "state"

_Message = TypeVar("_Message")

_TIMEOUT_S = 10.0
_REPAIR_TIMEOUT_S = 120.0  # torn files may have to be repaired before the answer


class KeeperClient:
    """The keeper that listens at a control socket. Implements `Keeping`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._client = LocalClient(path)

    def close(self) -> None:
        """Leave; a later question connects anew."""
        self._client.close()

    async def settle(self, names: Sequence[str]) -> Sequence[str]:
        question = storage_pb2.Paths(names=names)
        data = await self._call(SETTLE, question.SerializeToString(), _REPAIR_TIMEOUT_S)
        return list(storage_pb2.Settled.FromString(data).names)

    async def put_gaps(self, gaps: Sequence[tuple[CameraId, Gap]]) -> None:
        message = storage_pb2.Gaps(gaps=[messages.pack_gap(camera, gap) for camera, gap in gaps])
        await self._call(PUT_GAPS, message.SerializeToString())

    async def put_retentions(self, rules: Mapping[CameraId, RetentionRule]) -> None:
        await self._call(PUT_RETENTIONS, messages.pack_rules(rules).SerializeToString())

    async def put_event_ranges(self, ranges: Sequence[EventRange]) -> None:
        await self._call(PUT_EVENT_RANGES, messages.pack_ranges(ranges).SerializeToString())

    async def put_locks(self, locks: Sequence[EvidenceLock], revision: int) -> None:
        await self._call(PUT_LOCKS, messages.pack_locks(locks, revision).SerializeToString())

    async def history(self, question: HistoryQuestion) -> History:
        message = storage_pb2.HistoryRequest(
            before_ns={str(key): value for key, value in question.before_ns.items()},
            since_ns={str(key): value for key, value in question.since_ns.items()},
        )
        data = await self._call(HISTORY, message.SerializeToString(), _REPAIR_TIMEOUT_S)
        return messages.unpack_history(storage_pb2.History.FromString(data))

    async def exchange(self, report: MediaReport) -> VolumeState:
        message = storage_pb2.MediaReport(
            worker=report.worker,
            open_bytes=report.open_bytes,
            written_bytes=report.written_bytes,
            error=report.error,
            stalled=report.stalled,
        )
        data = await self._call(EXCHANGE, message.SerializeToString())
        state = storage_pb2.VolumeState.FromString(data)
        return VolumeState(state.error, state.used_bytes, state.quota_bytes, state.recovered)

    async def state(self) -> KeeperState:
        return messages.unpack_state(storage_pb2.KeeperState.FromString(await self._call(STATE, b"")))

    async def _call(self, method: str, argument: bytes, timeout_s: float = _TIMEOUT_S) -> bytes:
        try:
            return await self._client.call(method, argument, timeout_s=timeout_s)
        except BusUnavailable as error:
            raise KeeperAway(f"keeper {self._path.stem} does not answer: {error}") from error
        except VmsError as error:
            raise StorageError(f"keeper {self._path.stem}: {error}") from error


def keeper_methods(keeper: Keeping) -> Mapping[str, Callable[[bytes], Awaitable[bytes]]]:
    """A keeper's methods for the control socket of its process."""

    async def settle(data: bytes) -> bytes:
        names = await keeper.settle(_parse(storage_pb2.Paths.FromString, data).names)
        return storage_pb2.Settled(names=names).SerializeToString()

    async def put_gaps(data: bytes) -> bytes:
        gaps = _parse(storage_pb2.Gaps.FromString, data).gaps
        await keeper.put_gaps([messages.unpack_gap(gap) for gap in gaps])
        return b""

    async def put_retentions(data: bytes) -> bytes:
        await keeper.put_retentions(messages.unpack_rules(_parse(storage_pb2.Retentions.FromString, data)))
        return b""

    async def put_event_ranges(data: bytes) -> bytes:
        await keeper.put_event_ranges(
            messages.unpack_ranges(_parse(storage_pb2.EventRanges.FromString, data))
        )
        return b""

    async def put_locks(data: bytes) -> bytes:
        message = _parse(storage_pb2.VolumeLocks.FromString, data)
        await keeper.put_locks(messages.unpack_locks(message), message.revision)
        return b""

    async def history(data: bytes) -> bytes:
        message = _parse(storage_pb2.HistoryRequest.FromString, data)
        question = HistoryQuestion(
            {messages.camera(key): value for key, value in message.before_ns.items()},
            {messages.camera(key): value for key, value in message.since_ns.items()},
        )
        return messages.pack_history(await keeper.history(question)).SerializeToString()

    async def exchange(data: bytes) -> bytes:
        message = _parse(storage_pb2.MediaReport.FromString, data)
        report = MediaReport(
            message.worker, message.open_bytes, message.written_bytes, message.error, message.stalled
        )
        answer = await keeper.exchange(report)
        return storage_pb2.VolumeState(
            error=answer.error,
            used_bytes=max(answer.used_bytes, 0),
            quota_bytes=answer.quota_bytes,
            recovered=answer.recovered,
        ).SerializeToString()

    async def state(_: bytes) -> bytes:
        return messages.pack_state(await keeper.state()).SerializeToString()

    return {
        SETTLE: settle,
        PUT_GAPS: put_gaps,
        PUT_RETENTIONS: put_retentions,
        PUT_EVENT_RANGES: put_event_ranges,
        PUT_LOCKS: put_locks,
        HISTORY: history,
        EXCHANGE: exchange,
        STATE: state,
    }


def _parse(parse: Callable[[bytes], _Message], data: bytes) -> _Message:
    try:
        return parse(data)
    except DecodeError as error:
        raise InvalidInput(f"a question to a keeper that cannot be read: {error}") from error
