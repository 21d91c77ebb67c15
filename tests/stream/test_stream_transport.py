"""A viewer whose address changes, one that knows only the fallback crypto, a kernel that stops doing GSO."""

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable

import pytest
from bench._viewer import SinkViewer
from tests.stream.scripted_stream import CAMERA, Camera, Watcher, h264_pictures

from vms.stream import StreamService
from vms.wire.webrtc.srtp import SrtpProfile
from vms.wire.webrtc.udp import UDP_SEGMENT, UdpPort

Serve = Callable[..., Awaitable[StreamService]]
Watch = Callable[..., Awaitable[Watcher]]


def move(viewer: SinkViewer, host: str) -> None:
    """Go on from another address and port, as after a switch from Wi-Fi to mobile."""
    loop = asyncio.get_running_loop()
    loop.remove_reader(viewer.socket)
    viewer.socket.close()
    viewer.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    viewer.socket.setblocking(False)
    viewer.socket.bind((host, 0))
    loop.add_reader(viewer.socket, viewer.readable)


async def received(watcher: Watcher, camera: Camera, count: int) -> list[int]:
    """The sequence numbers of the next `count` pictures' packets."""
    first = len(watcher.video)
    pictures = {header.timestamp for header in watcher.headers}
    for _ in range(count):
        camera.push()
        await asyncio.sleep(0)
    await watcher.until(lambda: len({h.timestamp for h in watcher.headers} - pictures) >= count)
    return [header.sequence_number for header in watcher.headers[first:]]


async def test_media_follows_a_viewer_to_another_address_without_a_new_handshake(
    serve: Serve, watch: Watch, camera: Camera
) -> None:
    service = await serve(camera)
    camera.push()
    watcher = await watch(service)
    before = await received(watcher, camera, 3)
    peer = service._viewers[watcher.session_id].peer
    old, srtp = peer.path, peer.srtp
    service.endpoint._own_hosts |= {"127.0.0.2"}  # an address of this machine that no interface lists
    move(watcher.viewer, "127.0.0.2")
    watcher.viewer.send_check()
    async with asyncio.timeout(20):
        while peer.path == old:
            await asyncio.sleep(0)
    after = await received(watcher, camera, 3)
    # What was under way to the old address is lost; the sequence goes on.
    assert 0 < after[0] - before[-1] & 0xFFFF < 100
    assert peer.srtp is srtp
    await service.end(watcher.session_id)
    async with asyncio.timeout(20):
        while not watcher.viewer.closed:
            await asyncio.sleep(0.01)


async def test_a_viewer_that_knows_only_the_fallback_crypto_decrypts_every_picture(
    serve: Serve, camera: Camera
) -> None:
    service = await serve(camera)
    camera.push()
    viewer = SinkViewer(profiles=(SrtpProfile.AES128_CM_SHA1_80,))
    answer = await service.offer(CAMERA, viewer.offer())
    watcher = Watcher(viewer, answer)
    viewer.on_datagram = watcher.take  # raises for what it cannot authenticate
    asyncio.get_running_loop().add_reader(viewer.socket, viewer.readable)
    viewer.accept(answer.sdp)
    async with asyncio.timeout(20):
        while not service.viewers(CAMERA):
            await asyncio.sleep(0)
    await received(watcher, camera, 5)
    assert viewer.profile is SrtpProfile.AES128_CM_SHA1_80
    asyncio.get_running_loop().remove_reader(viewer.socket)
    viewer.close()


class NoLongerSegmenting:
    """A socket whose kernel refuses UDP_SEGMENT from now on, as after a route through another device."""

    def __init__(self, real: socket.socket) -> None:
        self._real = real
        self.refused = 0

    def sendmsg(self, buffers: object, ancillary: object, *rest: object) -> int:
        if ancillary:
            ((_, kind, _),) = ancillary  # type: ignore[misc]
            assert kind == UDP_SEGMENT
            self.refused += 1
            raise OSError(errno.EIO, "Input/output error")
        return self._real.sendmsg(buffers, ancillary, *rest)  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)


async def test_a_kernel_that_stops_segmenting_costs_no_packet(serve: Serve, watch: Watch) -> None:
    camera = Camera(h264_pictures(30, gop=30, width=640))
    service = await serve(camera)
    camera.push()
    watcher = await watch(service)
    before = await received(watcher, camera, 2)
    peer = service._viewers[watcher.session_id].peer
    assert peer.path is not None
    port = peer.path[0]
    assert isinstance(port, UdpPort)
    if not port.gso:
        pytest.skip("this kernel never segments")
    port.socket = broken = NoLongerSegmenting(port.socket)  # type: ignore[assignment]
    camera.show(camera.pictures)  # a key picture: more than one packet
    after = await received(watcher, camera, 3)
    assert broken.refused == 1
    assert not port.gso
    numbers = sorted(before + after)
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
