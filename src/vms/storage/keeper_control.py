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
from vms.common.ids import CameraId, camera_id
from vms.media import Gap, GapReason
from vms.proto import storage_pb2
from vms.storage.errors import KeeperAway, StorageError
from vms.storage.keeping import History, HistoryQuestion, Keeping, MediaReport, VolumeState

SETTLE, PUT_GAPS, PUT_RETENTIONS = "settle", "put_gaps", "put_retentions"
HISTORY, EXCHANGE = "history", "exchange"

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
        message = storage_pb2.Gaps(gaps=[_pack_gap(camera, gap) for camera, gap in gaps])
        await self._call(PUT_GAPS, message.SerializeToString())

    async def put_retentions(self, retention_ns: Mapping[CameraId, int]) -> None:
        message = storage_pb2.Retentions(
            retention_ns={str(key): value for key, value in retention_ns.items()}
        )
        await self._call(PUT_RETENTIONS, message.SerializeToString())

    async def history(self, question: HistoryQuestion) -> History:
        message = storage_pb2.HistoryRequest(
            before_ns={str(key): value for key, value in question.before_ns.items()},
            since_ns={str(key): value for key, value in question.since_ns.items()},
        )
        data = await self._call(HISTORY, message.SerializeToString(), _REPAIR_TIMEOUT_S)
        answer = storage_pb2.History.FromString(data)
        return History(
            {CameraId(key): value for key, value in answer.last_end_ns.items()},
            [_unpack_gap(gap) for gap in answer.lasting],
            {CameraId(key): value for key, value in answer.resumed_ns.items()},
        )

    async def exchange(self, report: MediaReport) -> VolumeState:
        message = storage_pb2.MediaReport(
            worker=report.worker,
            open_bytes=report.open_bytes,
            written_bytes=report.written_bytes,
            error=report.error,
        )
        data = await self._call(EXCHANGE, message.SerializeToString())
        state = storage_pb2.VolumeState.FromString(data)
        return VolumeState(state.error, state.used_bytes, state.quota_bytes, state.recovered)

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
        await keeper.put_gaps([_unpack_gap(gap) for gap in gaps])
        return b""

    async def put_retentions(data: bytes) -> bytes:
        message = _parse(storage_pb2.Retentions.FromString, data)
        await keeper.put_retentions({_camera(key): value for key, value in message.retention_ns.items()})
        return b""

    async def history(data: bytes) -> bytes:
        message = _parse(storage_pb2.HistoryRequest.FromString, data)
        question = HistoryQuestion(
            {_camera(key): value for key, value in message.before_ns.items()},
            {_camera(key): value for key, value in message.since_ns.items()},
        )
        answer = await keeper.history(question)
        return storage_pb2.History(
            last_end_ns={str(key): value for key, value in answer.last_end_ns.items()},
            lasting=[_pack_gap(camera, gap) for camera, gap in answer.lasting],
            resumed_ns={str(key): value for key, value in answer.resumed_ns.items()},
        ).SerializeToString()

    async def exchange(data: bytes) -> bytes:
        message = _parse(storage_pb2.MediaReport.FromString, data)
        report = MediaReport(message.worker, message.open_bytes, message.written_bytes, message.error)
        state = await keeper.exchange(report)
        return storage_pb2.VolumeState(
            error=state.error,
            used_bytes=max(state.used_bytes, 0),
            quota_bytes=state.quota_bytes,
            recovered=state.recovered,
        ).SerializeToString()

    return {
        SETTLE: settle,
        PUT_GAPS: put_gaps,
        PUT_RETENTIONS: put_retentions,
        HISTORY: history,
        EXCHANGE: exchange,
    }


def _parse(parse: Callable[[bytes], _Message], data: bytes) -> _Message:
    try:
        return parse(data)
    except DecodeError as error:
        raise InvalidInput(f"a question to a keeper that cannot be read: {error}") from error


def _pack_gap(camera: CameraId, gap: Gap) -> storage_pb2.Gap:
    return storage_pb2.Gap(
        camera_id=camera,
        start_ns=gap.start_ns,
        end_ns=gap.end_ns,
        reason=gap.reason,
        detail=gap.detail.encode(errors="replace").decode(),
    )


def _unpack_gap(gap: storage_pb2.Gap) -> tuple[CameraId, Gap]:
    end_ns = gap.end_ns if gap.HasField("end_ns") else None
    try:
        reason = GapReason(gap.reason)
    except ValueError:  # of a newer version
        reason = GapReason.UNKNOWN
    return _camera(gap.camera_id), Gap(gap.start_ns, end_ns, reason, gap.detail)


def _camera(text: str) -> CameraId:
    try:
        return camera_id(text)
    except ValueError as error:
        raise InvalidInput(str(error)) from error
