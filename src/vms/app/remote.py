"""What the API needs of other processes, as its ports: live state from the directory, viewers by the bus.

An offer goes to the stream worker that has the fewest sessions, unless another one carries the camera already
and is hardly busier: a stream is subscribed once a worker. A session's id begins with its worker's name, so every
later request finds it, over whatever connection and api process it comes.

Belongs here: asking and choosing. Does not: serving viewers (vms.stream), HTTP (vms.api).
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vms.app.convert import process_metrics, stream_status, tracks_of
from vms.app.directory import Directory
from vms.app.places import Places
from vms.bus import Bus
from vms.bus.errors import BusUnavailable
from vms.bus.local import LocalClient
from vms.common.errors import NotFound, Unavailable, VmsError
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.gateway.client import RegistryClient
from vms.ingest.status import CameraState, StreamStatus
from vms.proto import camera_pb2, live_pb2, subjects, worker_pb2
from vms.stream import Answer, NotViewable, NotViewableReason, Restarted, Session, Viewability, viewability_of
from vms.stream.selection import UNKNOWN_SIZE, Size, stream_for
from vms.telemetry.logs import get_logger
from vms.telemetry.metrics import ProcessMetrics

log = get_logger(__name__)

OFFER_TIMEOUT_S = 8.0  # longer than a stream worker waits for a subscription
SESSION_TIMEOUT_S = 3.0
CARRIED_ALREADY_BONUS = 50
"""So many sessions more may a worker have that need not subscribe first."""
METRICS_TIMEOUT_S = 1.5
WORKER_LOST = "worker_lost"


class RemoteStreams:
    """Implements the API's LiveStatus and Recording."""

    def __init__(self, registry: RegistryClient, directory: Directory) -> None:
        self._registry = registry
        self._directory = directory

    def status(self, camera_id: CameraId) -> StreamStatus:
        """Raises NotFound."""
        worker = self._worker(camera_id)
        told = self._directory.camera(camera_id, worker)
        if told is not None:
            return stream_status(told)
        if self._directory.lost(worker):
            reason = f"the process that pulls it ({worker}) does not answer; it is being restarted"
            return StreamStatus(CameraState.FAILED, reason, WORKER_LOST)
        return StreamStatus(CameraState.CONNECTING)

    def sub_status(self, camera_id: CameraId) -> StreamStatus | None:
        told = self.told(camera_id)
        return stream_status(told.sub) if told is not None and told.HasField("sub") else None

    def recording(self, camera_id: CameraId) -> bool:
        told = self.told(camera_id)
        return told is not None and told.recording

    def recording_state(self, camera_id: CameraId) -> str | None:
        told = self.told(camera_id)
        return told.recording_state or None if told is not None else None

    def recording_error(self, camera_id: CameraId) -> str | None:
        told = self.told(camera_id)
        return told.recording_error if told is not None and told.HasField("recording_error") else None

    def told(self, camera_id: CameraId) -> camera_pb2.CameraStatus | None:
        """What the camera's worker said last; None while that is not known."""
        try:
            return self._directory.camera(camera_id, self._worker(camera_id))
        except NotFound:
            return None

    def _worker(self, camera_id: CameraId) -> str:
        assignment = self._registry.assignment(camera_id)
        if assignment is None:
            raise NotFound(f"no camera {camera_id} is being pulled")
        return assignment[1]


class RemoteLive:
    """Implements the API's Live."""

    def __init__(self, bus: Bus, streams: RemoteStreams, directory: Directory) -> None:
        self._bus = bus
        self._streams = streams
        self._directory = directory

    async def offer(self, camera_id: CameraId, sdp: str, stream: StreamName = StreamName.MAIN) -> Answer:
        """See StreamService.offer; Unavailable when no stream worker answers."""
        if stream is StreamName.MAIN:  # of the others it is known once they are asked for
            found = self.viewability(camera_id)
            if found.reason is not None:
                raise NotViewable(found.reason, found.detail)
        message = live_pb2.Offer(camera_id=camera_id, sdp=sdp, stream=stream).SerializeToString()
        for worker in self._by_preference(camera_id):
            try:
                reply = await self._bus.request(
                    subjects.stream_offer(worker), message, timeout_s=OFFER_TIMEOUT_S
                )
            except BusUnavailable as error:
                log.warning("a stream worker did not take an offer", stream=worker, reason=str(error))
                continue
            answer = live_pb2.Answer.FromString(reply)
            session = Session(camera_id, answer.etag, answer.ufrag, stream=stream)
            return Answer(answer.session_id, answer.sdp, session)
        raise Unavailable("no process that serves live video answers now; try again in a few seconds")

    async def session(self, session_id: str) -> Session:
        """Raises NotFound, also when its worker has gone, and its sessions with it."""
        message = live_pb2.SessionId(session_id=session_id)
        reply = await self._ask(session_id, "get", message.SerializeToString())
        return _session(live_pb2.Session.FromString(reply))

    async def restart(self, session_id: str, ufrag: str) -> Restarted:
        """Raises NotFound, as `session`."""
        message = live_pb2.Restart(session_id=session_id, ufrag=ufrag)
        reply = await self._ask(session_id, "restart", message.SerializeToString())
        restarted = live_pb2.Restarted.FromString(reply)
        return Restarted(_session(restarted.session), restarted.fragment)

    async def end(self, session_id: str) -> None:
        """Raises NotFound."""
        await self._ask(session_id, "end", live_pb2.SessionId(session_id=session_id).SerializeToString())

    async def select(self, session_id: str, stream: StreamName) -> None:
        """Raises as StreamService.select."""
        message = live_pb2.Select(session_id=session_id, stream=stream)
        # As long as an offer: a stream that nobody watches is subscribed, or even pulled, first.
        await self._ask(session_id, "select", message.SerializeToString(), OFFER_TIMEOUT_S)

    def suitable(
        self, camera_id: CameraId, width: int, height: int, current: StreamName | None = None
    ) -> StreamName:
        """See vms.stream.selection; what is not known yet counts as usual."""
        told = self._streams.told(camera_id)
        if told is None or not told.HasField("sub"):
            return StreamName.MAIN
        return stream_for(width, height, _size(told), _size(told.sub), current=current)

    def http_port(self, camera_id: CameraId) -> int | None:
        """The TCP port of the stream worker that should serve another viewer of a camera; None when there is none."""
        workers = (self._directory.worker(name) for name in self._by_preference(camera_id))
        return next((worker.http_port for worker in workers if worker is not None and worker.http_port), None)

    def serves_webtransport(self) -> bool:
        """Whether the process that serves it is alive; what it left behind says nothing of that."""
        return any(worker.ready for worker in self._directory.workers("quic"))

    def viewers(self, camera_id: CameraId) -> int:
        return self._directory.viewers(camera_id)

    def viewability(self, camera_id: CameraId) -> Viewability:
        """Raises NotFound."""
        self._streams.status(camera_id)
        told = self._streams.told(camera_id)
        if told is None:
            detail = "nothing has come from the camera yet"
            return Viewability(False, NotViewableReason.NOT_LIVE, detail)
        return viewability_of(tracks_of(told.tracks), told.reorders)

    async def _ask(
        self, session_id: str, verb: str, message: bytes, timeout_s: float = SESSION_TIMEOUT_S
    ) -> bytes:
        worker = session_id.partition(".")[0]
        if self._directory.worker(worker) is None:
            raise NotFound("no such live-view session; the process that served it has ended")
        subject = subjects.stream_session(worker, verb)
        return await self._bus.request(subject, message, timeout_s=timeout_s)

    def _by_preference(self, camera_id: CameraId) -> list[str]:
        def load(status: worker_pb2.WorkerStatus) -> float:
            bonus = CARRIED_ALREADY_BONUS if status.viewers.get(camera_id, 0) else 0
            return int(status.sessions) - bonus

        ready = [status for status in self._directory.workers("stream") if status.ready]
        return [status.worker for status in sorted(ready, key=load)]


def _session(message: live_pb2.Session) -> Session:
    stream = StreamName(message.stream or StreamName.MAIN)
    return Session(CameraId(message.camera_id), message.etag, message.ufrag, stream=stream)


def _size(told: camera_pb2.CameraStatus) -> Size:
    """How large a stream's pictures are."""
    track = next((track for track in told.tracks if track.width), None)
    return Size(track.width, track.height) if track is not None else UNKNOWN_SIZE


@dataclass(frozen=True, slots=True)
class Process:
    """One line of `vms status`, as the API's Process."""

    role: str
    worker: str
    pid: int
    state: str
    cameras: int
    viewers: int
    cpu_percent: float
    memory_bytes: int
    loop_lag_ms: float | None
    restarts: int
    uptime_s: float
    detail: str


class LocalMachine:
    """Implements the API's Machine by the control sockets of this machine's processes."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._clients: dict[str, LocalClient] = {}

    async def processes(self) -> Sequence[Process]:
        """Raises Unavailable."""
        reply = await self._client("supervisor").call("status")
        return [_process(each) for each in worker_pb2.ProcessList.FromString(reply).processes]

    async def restart(self, target: str) -> Sequence[str]:
        """Raises NotFound, Conflict, Unavailable."""
        argument = worker_pb2.Restart(target=target).SerializeToString()
        reply = await self._client("supervisor").call("restart", argument, timeout_s=SESSION_TIMEOUT_S)
        return list(worker_pb2.Restarted.FromString(reply).workers)

    async def metrics(self) -> Sequence[ProcessMetrics]:
        """Of every process that answers in time, this one included."""
        found = await asyncio.gather(*(self._metrics_of(worker) for worker, _ in self._places.controls()))
        return [metrics for metrics in found if metrics is not None]

    async def close(self) -> None:
        for client in self._clients.values():
            client.close()

    async def _metrics_of(self, worker: str) -> ProcessMetrics | None:
        try:
            reply = await self._client(worker).call("metrics", timeout_s=METRICS_TIMEOUT_S)
        except VmsError as error:
            log.warning("a process did not give its metrics", process=worker, reason=str(error))
            return None
        return process_metrics(worker_pb2.Metrics.FromString(reply))

    def _client(self, worker: str) -> LocalClient:
        client = self._clients.get(worker)
        if client is None:
            client = self._clients[worker] = LocalClient(self._places.control(worker))
        return client


def _process(message: worker_pb2.ProcessStatus) -> Process:
    lag = message.loop_lag_ms if message.HasField("loop_lag_ms") else None
    names: Mapping[str, object] = {
        name: getattr(message, name) for name in Process.__slots__ if name != "loop_lag_ms"
    }
    return Process(**names, loop_lag_ms=lag)  # type: ignore[arg-type]
