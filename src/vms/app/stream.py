"""The stream role: live viewers over WebRTC, and the public RTSP server. It subscribes to hubs on demand."""

import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence

from vms.app.places import index_of
from vms.app.role import Around, Method
from vms.bus import Subscription
from vms.common.ids import CameraId
from vms.config import WebRtcConfig, is_loopback
from vms.proto import live_pb2, subjects, worker_pb2
from vms.relay import PublicRtsp
from vms.stream import HubLease, LeaseHub, StreamService
from vms.telemetry.metrics import MetricSource


class StreamRole:
    """lease: where hubs come from. rtsp: a socket that listens for RTSP players; None serves none."""

    def __init__(
        self,
        around: Around,
        lease: LeaseHub,
        *,
        rtsp: socket.socket | None = None,
        before: Sequence[MetricSource] = (),
    ) -> None:
        """before: who counts in what stands before it."""
        config, worker, clock = around.config, around.worker, around.clock
        self.on_change: Callable[[], None] = lambda: None
        self.live = StreamService(
            _of_worker(config.webrtc, worker),
            lease,
            clock,
            worker=worker,
            local_only=is_loopback(config.http.host),
        )
        self.live.on_viewers = self._viewers_changed
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
        return [self.live, *([self._rtsp] if self._rtsp is not None else []), *self._before]

    @property
    def methods(self) -> Mapping[str, Method]:
        return {}

    async def start(self) -> None:
        """Raises PortUnavailable."""
        await self.live.start()
        if self._rtsp is not None:
            await self._rtsp.start()
        serve, worker = self._bus.serve, self._worker
        self._serving = [
            serve(subjects.stream_offer(worker), self._offer),
            serve(subjects.stream_session(worker, "get"), self._session),
            serve(subjects.stream_session(worker, "end"), self._end),
        ]

    async def stop(self) -> None:
        """Say goodbye to every viewer."""
        for subscription in self._serving:
            subscription.close()
        self._serving.clear()
        if self._rtsp is not None:
            await self._rtsp.stop()
        await self.live.stop()

    def end_camera(self, camera_id: CameraId) -> None:
        """End the sessions of a camera that is no longer configured."""
        self.live.end_camera(camera_id)
        if self._rtsp is not None:
            self._rtsp.end(camera_id)
        self.on_change()

    def describe(self, status: worker_pb2.WorkerStatus) -> None:
        status.sessions = self.live.session_count
        for camera_id, viewers in self.live.watched.items():
            status.viewers[camera_id] = viewers

    def _viewers_changed(self) -> None:
        self.on_change()

    async def _offer(self, data: bytes) -> bytes:
        offer = live_pb2.Offer.FromString(data)
        answer = await self.live.offer(CameraId(offer.camera_id), offer.sdp)
        self.on_change()
        session = answer.session
        reply = live_pb2.Answer(
            session_id=answer.session_id, sdp=answer.sdp, etag=session.etag, ufrag=session.ufrag
        )
        return reply.SerializeToString()

    async def _session(self, data: bytes) -> bytes:
        found = await self.live.session(live_pb2.SessionId.FromString(data).session_id)
        reply = live_pb2.Session(camera_id=found.camera_id, etag=found.etag, ufrag=found.ufrag)
        return reply.SerializeToString()

    async def _end(self, data: bytes) -> bytes:
        await self.live.end(live_pb2.SessionId.FromString(data).session_id)
        self.on_change()
        return live_pb2.Empty().SerializeToString()


def _resolving(lease: LeaseHub) -> Callable[[CameraId], Awaitable[HubLease]]:
    async def resolve(camera_id: CameraId) -> HubLease:
        return lease(camera_id)

    return resolve


def _of_worker(config: WebRtcConfig, worker: str) -> WebRtcConfig:
    """Every worker has a UDP port of its own, counted from the configured one."""
    if config.port == 0:
        return config
    return config.model_copy(update={"port": config.port + index_of(worker)})
