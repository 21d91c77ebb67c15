"""Publishers between processes: the API asks, by the bus, the media process that has the camera.

A session's id begins with its worker's name, so every later request finds it.

Belongs here: asking and serving. Does not: receiving (vms.ingest), HTTP (vms.api).
"""

from vms.app.directory import Directory
from vms.app.places import index_of
from vms.bus import Bus, Subscription
from vms.common.clock import Clock
from vms.common.errors import NotFound, Unavailable
from vms.common.ids import CameraId
from vms.config import Config, WebRtcConfig, is_loopback
from vms.gateway.client import RegistryClient
from vms.ingest.publishers import PublishAnswer, Publishers, PublishRestarted, PublishSession
from vms.proto import live_pb2, subjects

OFFER_TIMEOUT_S = 8.0  # longer than a media process waits for a camera's place
SESSION_TIMEOUT_S = 3.0
PORTS_APART = 64
"""Media processes receive on UDP ports so far above those that viewers use."""


def make_publishers(config: Config, worker: str, clock: Clock) -> Publishers:
    """The publishers of a media process."""
    return Publishers(
        publish_port(config.webrtc, worker),
        clock,
        worker=worker,
        addresses=config.webrtc.addresses,
        local_only=is_loopback(config.http.host),
    )


def publish_port(config: WebRtcConfig, worker: str) -> int:
    """The UDP port of a media process, 0 for any free one."""
    return config.port + PORTS_APART + index_of(worker) if config.port else 0


class PublishServing:
    """Answers what is asked of a media process about its publishers."""

    def __init__(self, publishers: Publishers, bus: Bus, worker: str) -> None:
        self._publishers = publishers
        self._bus = bus
        self._worker = worker
        self._serving: list[Subscription] = []

    def start(self) -> None:
        verbs = {"offer": self._offer, "get": self._get, "end": self._end, "restart": self._restart}
        for verb, handler in verbs.items():
            self._serving.append(self._bus.serve(subjects.publisher(self._worker, verb), handler))

    def stop(self) -> None:
        for subscription in self._serving:
            subscription.close()
        self._serving.clear()

    async def _offer(self, data: bytes) -> bytes:
        offer = live_pb2.PublishOffer.FromString(data)
        answer = await self._publishers.offer(CameraId(offer.camera_id), offer.sdp, take_over=offer.take_over)
        session = answer.session
        reply = live_pb2.Answer(
            session_id=answer.session_id, sdp=answer.sdp, etag=session.etag, ufrag=session.ufrag
        )
        return reply.SerializeToString()

    async def _get(self, data: bytes) -> bytes:
        found = await self._publishers.session(live_pb2.SessionId.FromString(data).session_id)
        return _message(found).SerializeToString()

    async def _end(self, data: bytes) -> bytes:
        await self._publishers.end(live_pb2.SessionId.FromString(data).session_id)
        return live_pb2.Empty().SerializeToString()

    async def _restart(self, data: bytes) -> bytes:
        wish = live_pb2.Restart.FromString(data)
        restarted = await self._publishers.restart(wish.session_id, wish.ufrag)
        reply = live_pb2.Restarted(session=_message(restarted.session), fragment=restarted.fragment)
        return reply.SerializeToString()


class RemotePublishing:
    """Implements the API's Publishing."""

    def __init__(self, bus: Bus, registry: RegistryClient, directory: Directory) -> None:
        self._bus = bus
        self._registry = registry
        self._directory = directory

    async def offer(self, camera_id: CameraId, sdp: str, *, take_over: bool) -> PublishAnswer:
        """See Publishers.offer; Unavailable when the camera's process does not answer."""
        assignment = self._registry.assignment(camera_id)
        if assignment is None:
            raise Unavailable(f"no process has taken {camera_id} yet; try again in a few seconds")
        message = live_pb2.PublishOffer(camera_id=camera_id, sdp=sdp, take_over=take_over)
        subject = subjects.publisher(assignment[1], "offer")
        reply = await self._bus.request(subject, message.SerializeToString(), timeout_s=OFFER_TIMEOUT_S)
        answer = live_pb2.Answer.FromString(reply)
        return PublishAnswer(
            answer.session_id, answer.sdp, PublishSession(camera_id, answer.etag, answer.ufrag)
        )

    async def session(self, session_id: str) -> PublishSession:
        """Raises NotFound, also when its worker has gone, and its sessions with it."""
        message = live_pb2.SessionId(session_id=session_id)
        return _session(live_pb2.Session.FromString(await self._ask(session_id, "get", message)))

    async def restart(self, session_id: str, ufrag: str) -> PublishRestarted:
        """Raises NotFound, as `session`."""
        message = live_pb2.Restart(session_id=session_id, ufrag=ufrag)
        restarted = live_pb2.Restarted.FromString(await self._ask(session_id, "restart", message))
        return PublishRestarted(_session(restarted.session), restarted.fragment)

    async def end(self, session_id: str) -> None:
        """Raises NotFound."""
        await self._ask(session_id, "end", live_pb2.SessionId(session_id=session_id))

    async def _ask(self, session_id: str, verb: str, message: live_pb2.SessionId | live_pb2.Restart) -> bytes:
        worker = session_id.partition(".")[0]
        if self._directory.worker(worker) is None:
            raise NotFound("no such WHIP session; the process that received it has ended")
        subject = subjects.publisher(worker, verb)
        return await self._bus.request(subject, message.SerializeToString(), timeout_s=SESSION_TIMEOUT_S)


def _message(session: PublishSession) -> live_pb2.Session:
    return live_pb2.Session(camera_id=session.camera_id, etag=session.etag, ufrag=session.ufrag)


def _session(message: live_pb2.Session) -> PublishSession:
    return PublishSession(CameraId(message.camera_id), message.etag, message.ufrag)
