"""A camera, the service that shows it, and viewers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from bench._viewer import SinkViewer
from tests.stream.scripted_stream import CAMERA, Camera, Watcher, with_rtx

from vms.common.clock import SystemClock
from vms.common.errors import NotFound
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.config import WebRtcConfig
from vms.media import Hub
from vms.stream import StreamService, own_hubs


@pytest.fixture
def camera() -> Camera:
    return Camera()


ServiceFactory = Callable[..., StreamService]


@pytest.fixture
async def serve() -> AsyncIterator[ServiceFactory]:
    """``serve(camera, sub=None, **options)``: a started service that knows one camera, and another one's pictures
    as its sub stream; stopped after the test."""
    started: list[StreamService] = []

    async def start(camera: Camera, sub: Camera | None = None, **options: object) -> StreamService:
        def hub(camera_id: CameraId) -> Hub:
            if camera_id != CAMERA:
                raise NotFound(camera_id)
            return camera.hub

        others = {StreamName.SUB: lambda _: sub.hub} if sub is not None else {}
        service = StreamService(WebRtcConfig(port=0), own_hubs(hub, others), SystemClock(), **options)
        await service.start()
        started.append(service)
        return service

    yield start
    for service in started:
        await service.stop()


@pytest.fixture
async def watch() -> AsyncIterator[Callable[..., Awaitable[Watcher]]]:
    """``await watch(service)``: a connected viewer of the service's camera."""
    watchers: list[Watcher] = []

    async def connect(
        service: StreamService,
        host: str = "127.0.0.1",
        *,
        rtx: bool = False,
        stream: StreamName = StreamName.MAIN,
        **options: bool,
    ) -> Watcher:
        loop = asyncio.get_running_loop()
        viewer = SinkViewer(host)
        offer = viewer.offer(**options)
        answer = await service.offer(CAMERA, with_rtx(offer) if rtx else offer, stream)
        watcher = Watcher(viewer, answer)
        viewer.on_datagram = watcher.take
        watchers.append(watcher)
        before = service.viewers(CAMERA)
        loop.add_reader(viewer.socket, viewer.readable)
        viewer.accept(answer.sdp)
        async with asyncio.timeout(20):
            while not viewer.connected or service.viewers(CAMERA) == before:
                await asyncio.sleep(0)
        return watcher

    yield connect
    for watcher in watchers:
        asyncio.get_running_loop().remove_reader(watcher.viewer.socket)
        watcher.viewer.close()
