"""Viewers that share a feed, by WebSocket and by SRT: a fault or a wait of one is nobody else's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import pytest
from tests.stream import srt_material
from tests.stream.scripted_stream import CAMERA, Camera
from tests.stream.websocket_client import Client

from vms.common.clock import NS, SystemClock
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.media import Hub
from vms.stream.http.http1 import HttpServer
from vms.stream.http.listener import TcpFront
from vms.stream.http.request import Router
from vms.stream.http.token import WATCH, mint
from vms.stream.hubs import OwnHub
from vms.stream.srt.feed import Item
from vms.stream.websocket.framing import CloseCode
from vms.stream.websocket.service import WebSocketService, live_path
from vms.wire.srt import SrtPoller, connect

SECRET = bytes(32)


class Lease(OwnHub):
    """Ready when its hub is said to be."""

    def __init__(self, hub: Hub, is_ready: asyncio.Event) -> None:
        super().__init__(hub)
        self.waiting = False
        self.released = False
        self._is_ready = is_ready

    async def ready(self, timeout_s: float) -> None:
        self.waiting = True
        await self._is_ready.wait()

    def release(self) -> None:
        assert not self.released
        self.released = True


@dataclass
class Served:
    service: WebSocketService
    port: int
    is_ready: asyncio.Event
    leases: list[Lease]

    async def begin(self) -> Client:
        """A client that has not been answered yet."""
        expires_ns = SystemClock().wall_ns() + 60 * NS
        target = live_path(CAMERA, StreamName.MAIN, mint(SECRET, CAMERA, WATCH, expires_ns))
        return await Client.ask(self.port, target)

    async def until_waiting(self, count: int) -> None:
        async with asyncio.timeout(20):
            while sum(lease.waiting for lease in self.leases) < count:
                await asyncio.sleep(0)


@asynccontextmanager
async def served(hub: Hub, *, max_viewers: int = 10) -> AsyncIterator[Served]:
    is_ready, leases = asyncio.Event(), list[Lease]()

    def lease(camera_id: CameraId, stream: StreamName = StreamName.MAIN, /) -> Lease:
        leases.append(Lease(hub, is_ready))
        return leases[-1]

    service = WebSocketService(lease, SECRET, SystemClock(), max_viewers=max_viewers)
    router = Router()
    service.register(router)
    server = HttpServer(router)
    front = TcpFront(server.connection)
    await front.start(["127.0.0.1"], 0)
    try:
        yield Served(service, front.port, is_ready, leases)
    finally:
        await front.stop()
        server.close()
        await service.stop()


async def test_viewers_that_wait_for_their_camera_count_among_those_that_may_be() -> None:
    camera = Camera()
    async with served(camera.hub, max_viewers=2) as at:
        waiting = [await at.begin(), await at.begin()]
        await at.until_waiting(2)
        refused = await at.begin()
        await refused.read_head()
        assert refused.status == 503
        at.is_ready.set()
        for client in waiting:
            await client.read_head()
        assert [client.status for client in waiting] == [101, 101]
        for client in (*waiting, refused):
            client.close()


async def test_a_viewer_that_leaves_while_its_camera_is_waited_for_holds_nothing_and_leaves_its_place() -> (
    None
):
    camera = Camera()
    async with served(camera.hub, max_viewers=1) as at:
        gone = await at.begin()
        await at.until_waiting(1)
        gone.writer.transport.abort()  # which is seen once its answer is written
        at.is_ready.set()
        async with asyncio.timeout(20):
            while not at.leases[0].released:
                await asyncio.sleep(0)
        assert (at.service.feeds.feeds, camera.hub.sinks, at.service.viewers) == ((), (), set())
        client = await at.begin()
        await client.read_head()
        assert client.status == 101
        client.close()


async def test_a_websocket_viewer_that_fails_inside_is_told_and_the_others_get_every_picture_once() -> None:
    camera = Camera()
    async with served(camera.hub) as at:
        at.is_ready.set()
        camera.push()
        clients = [await at.begin() for _ in range(3)]
        for client in clients:
            await client.read_head()
            await client.until_media(2)
        broken = next(iter(at.service.viewers))
        assert broken.connection is not None

        def fail(framed: bytes, most_unsent_bytes: int) -> bool:
            raise ValueError("a fault of ours")

        broken.connection.offer = fail  # type: ignore[method-assign]
        for _ in range(5):
            camera.push()
        ended = []
        for client in clients:
            with suppress(asyncio.IncompleteReadError):
                await client.until(lambda client=client: client.closed or len(client.media) == 7)
            ended.append(client.closed)
        assert sorted(ended, key=str) == [
            (CloseCode.INTERNAL_ERROR, "this is a fault of the server; it is logged"),
            None,
            None,
        ]
        for client in clients:
            captured = [capture_ns for _, capture_ns, _ in client.media[1:]]
            assert len(set(captured)) == len(captured), "nobody gets a picture twice"
            client.close()


@pytest.mark.needs("libsrt")
async def test_an_srt_viewer_that_fails_inside_is_ended_and_the_others_get_every_picture_once() -> None:
    camera = Camera()
    async with srt_material.served(camera.hub) as service:
        poller = await SrtPoller().start()
        try:
            address = ("127.0.0.1", service.port)
            calls = [await connect(poller, address, stream_id=srt_material.CAMERA) for _ in range(2)]
            async with asyncio.timeout(20):
                while len(service.viewers) < 2:
                    await asyncio.sleep(0.01)
            broken, other = service.viewers
            got: list[Item] = []
            deliver = other.deliver

            def fail(item: Item) -> None:
                raise ValueError("a fault of ours")

            def note(item: Item) -> None:
                got.append(item)
                deliver(item)

            broken.deliver, other.deliver = fail, note  # type: ignore[method-assign]
            for _ in range(5):
                camera.push()
            async with asyncio.timeout(20):
                while len(got) < 5 or len(service.viewers) > 1:
                    await asyncio.sleep(0.01)
            assert service.viewers == {other}
            assert (broken.connection.closed, broken.ended) == (True, "a fault of this program; it is logged")
            assert [item.index for item in got] == list(range(5))
            for call in calls:
                call.close()
        finally:
            await poller.stop()
