"""The stream role: live viewers over WebRTC, WebSocket and HLS, and the public RTSP server. It subscribes to hubs on
demand."""

import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence

from vms.app.places import index_of
from vms.app.recorded_fragments import RecordedPlayback
from vms.app.role import Around, Method, OnChange, nobody_told
from vms.app.stream_web import StreamWeb
from vms.bus import Subscription
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.config import WebRtcConfig, is_loopback
from vms.proto import live_pb2, subjects, worker_pb2
from vms.relay import PublicRtsp
from vms.stream import HubLease, LeaseHub, Session, StreamService
from vms.telemetry.metrics import MetricSource


class StreamRole:
    """lease: where hubs come from. rtsp: a socket that listens for RTSP players; None serves none.

    url_secret: of the installation, for tokens in URLs; None lets nobody in by them.
    """

    def __init__(
        self,
        around: Around,
        lease: LeaseHub,
        *,
        rtsp: socket.socket | None = None,
        url_secret: bytes | None = None,
        before: Sequence[MetricSource] = (),
    ) -> None:
        """before: who counts in what stands before it."""
        config, worker, clock = around.config, around.worker, around.clock
        self.on_change: OnChange = nobody_told
        self.live = StreamService(
            _of_worker(config.webrtc, worker),
            lease,
            clock,
            worker=worker,
            local_only=is_loopback(config.http.host),
        )
        self.live.on_viewers = self._viewers_changed
        self._recorded = RecordedPlayback(config.volumes(), clock)
        self.web = StreamWeb(
            lease,
            url_secret or secrets.token_bytes(32),
            clock,
            host=config.http.host,
            recorded=self._recorded,
            tls=config.http.tls,
        )
        self.web.websocket.on_viewers = self._viewers_changed
        self._port = config.webrtc.port
        token = config.http.token
        secret = token.get_secret_value() if token is not None else None
        self._rtsp = (
            PublicRtsp(_resolving(lease), clock, token=secret, sock=rtsp) if rtsp is not None else None
        )
        self._before = before
        self._worker = worker
        self._bus = around.bus
        self._serving: list[Subscription] = []

    @property
    def sources(self) -> Sequence[MetricSource]:
        return [
            self.live,
            *self.web.sources,
            *([self._rtsp] if self._rtsp is not None else []),
            *self._before,
        ]

    @property
    def methods(self) -> Mapping[str, Method]:
        return {}

    async def start(self) -> None:
        """Raises PortUnavailable."""
        await self.live.start()
        await self.web.start(self.live.endpoint, self._port)
        if self._rtsp is not None:
            await self._rtsp.start()
        serve, worker = self._bus.serve, self._worker
        self._serving = [
            serve(subjects.stream_offer(worker), self._offer),
            serve(subjects.stream_session(worker, "get"), self._session),
            serve(subjects.stream_session(worker, "end"), self._end),
            serve(subjects.stream_session(worker, "restart"), self._restart),
            serve(subjects.stream_session(worker, "select"), self._select),
        ]

    async def stop(self) -> None:
        """Say goodbye to every viewer."""
        for subscription in self._serving:
            subscription.close()
        self._serving.clear()
        if self._rtsp is not None:
            await self._rtsp.stop()
        await self.web.stop()
        await self.live.stop()
        await self._recorded.stop()

    def end_camera(self, camera_id: CameraId) -> None:
        """End the sessions of a camera that is no longer configured."""
        self.live.end_camera(camera_id)
        self.web.end_camera(camera_id)
        if self._rtsp is not None:
            self._rtsp.end(camera_id)
        self.on_change()

    def end_sub(self, camera_id: CameraId) -> None:
        """End the sessions on the sub stream of a camera that has none; without effect when there are none."""
        self.live.end_stream(camera_id, StreamName.SUB)
        self.web.end_stream(camera_id, StreamName.SUB)
        if self._rtsp is not None:
            self._rtsp.end(camera_id, StreamName.SUB)

    def describe(self, status: worker_pb2.WorkerStatus) -> None:
        status.sessions = self.live.session_count + len(self.web.websocket.viewers)
        status.http_port = self.web.port
        for watched in (self.live.watched, self.web.watched):
            for camera_id, viewers in watched.items():
                status.viewers[camera_id] += viewers

    def _viewers_changed(self) -> None:
        self.on_change()

    async def _offer(self, data: bytes) -> bytes:
        offer = live_pb2.Offer.FromString(data)
        stream = StreamName(offer.stream or StreamName.MAIN)
        answer = await self.live.offer(CameraId(offer.camera_id), offer.sdp, stream)
        self.on_change()
        session = answer.session
        reply = live_pb2.Answer(
            session_id=answer.session_id, sdp=answer.sdp, etag=session.etag, ufrag=session.ufrag
        )
        return reply.SerializeToString()

    async def _session(self, data: bytes) -> bytes:
        found = await self.live.session(live_pb2.SessionId.FromString(data).session_id)
        return _message(found).SerializeToString()

    async def _select(self, data: bytes) -> bytes:
        wish = live_pb2.Select.FromString(data)
        await self.live.select(wish.session_id, StreamName(wish.stream))
        return live_pb2.Empty().SerializeToString()

    async def _restart(self, data: bytes) -> bytes:
        wish = live_pb2.Restart.FromString(data)
        restarted = await self.live.restart(wish.session_id, wish.ufrag)
        reply = live_pb2.Restarted(session=_message(restarted.session), fragment=restarted.fragment)
        return reply.SerializeToString()

    async def _end(self, data: bytes) -> bytes:
        await self.live.end(live_pb2.SessionId.FromString(data).session_id)
        self.on_change()
        return live_pb2.Empty().SerializeToString()


def _message(session: Session) -> live_pb2.Session:
    return live_pb2.Session(
        camera_id=session.camera_id, etag=session.etag, ufrag=session.ufrag, stream=session.stream
    )


def _resolving(lease: LeaseHub) -> Callable[[CameraId, StreamName], Awaitable[HubLease]]:
    async def resolve(camera_id: CameraId, stream: StreamName) -> HubLease:
        return lease(camera_id, stream)

    return resolve


def _of_worker(config: WebRtcConfig, worker: str) -> WebRtcConfig:
    """Every worker has a UDP port of its own, counted from the configured one."""
    if config.port == 0:
        return config
    return config.model_copy(update={"port": config.port + index_of(worker)})
