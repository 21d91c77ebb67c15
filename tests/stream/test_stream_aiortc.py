"""aiortc, a WebRTC implementation that is not ours, as the viewer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import aiortc.rtcdtlstransport
import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from tests.stream.lossy_relay import lossy_relay
from tests.stream.scripted_stream import CAMERA, Camera, h264_pictures

from vms.media import Codec
from vms.stream import StreamService
from vms.wire.webrtc.srtp import SrtpProfile

pytestmark = pytest.mark.e2e

Serve = Callable[..., Awaitable[StreamService]]


class AiortcViewer:
    """Decodes what it gets and counts it."""

    def __init__(self, *, audio: bool = False) -> None:
        self.connection = RTCPeerConnection()
        self.frames = {"video": 0, "audio": 0}
        self.width = 0
        self._readers: list[asyncio.Task[None]] = []
        self._arrived = asyncio.Event()
        self.connection.addTransceiver("video", direction="recvonly")
        if audio:  # aiortc takes no answer that refuses a section
            self.connection.addTransceiver("audio", direction="recvonly")
        self.connection.on("track", self._on_track)

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._readers.append(asyncio.create_task(self._read(track)))

    async def _read(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            self.frames[track.kind] += 1
            if track.kind == "video":
                self.width = frame.width
            self._arrived.set()

    async def offer(self) -> str:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return self.connection.localDescription.sdp

    async def accept(self, answer: str) -> None:
        await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def until(self, condition: Callable[[], bool], timeout_s: float = 20) -> None:
        async with asyncio.timeout(timeout_s):
            while not condition():
                self._arrived.clear()
                await self._arrived.wait()

    async def close(self) -> None:
        await self.connection.close()
        await asyncio.gather(*self._readers)


@pytest.fixture
async def viewer() -> AsyncIterator[AiortcViewer]:
    viewer = AiortcViewer()
    yield viewer
    await viewer.close()


@pytest.mark.parametrize("profile", list(SrtpProfile), ids=lambda profile: profile.name)
async def test_aiortc_decodes_video_and_sound_with_either_protection_profile(
    profile: SrtpProfile, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = aiortc.rtcdtlstransport.SRTP_PROFILES
    theirs = [other for other in known if other.openssl_profile == profile.dtls_name]
    monkeypatch.setattr(aiortc.rtcdtlstransport, "SRTP_PROFILES", theirs)
    viewer = AiortcViewer(audio=True)
    camera = Camera(audio=Codec.PCMA)
    service = await serve(camera)
    async with camera.live():
        answer = await service.offer(CAMERA, await viewer.offer())
        await viewer.accept(answer.sdp)
        await viewer.until(lambda: viewer.frames["video"] >= 30 and viewer.frames["audio"] >= 10)
        (watching,) = service._viewers.values()
        assert watching.peer.srtp is not None
        assert watching.peer.srtp.profile is profile
        await viewer.close()
        async with asyncio.timeout(20):
            while service.viewers(CAMERA):
                await asyncio.sleep(0.01)


async def test_aiortc_gets_lost_packets_back_by_nack(viewer: AiortcViewer, serve: Serve) -> None:
    camera = Camera(h264_pictures(100, gop=100))
    service = await serve(camera)
    lost: set[int] = set()

    def drop(number: int) -> bool:
        if number % 23 == 0 and number not in lost:
            lost.add(number)
            return True
        return False

    async with camera.live():
        answer = await service.offer(CAMERA, await viewer.offer())
        async with lossy_relay(answer.sdp, drop) as (relay, sdp):
            await viewer.accept(sdp)
            await viewer.until(lambda: viewer.frames["video"] >= 60 and len(relay.dropped) >= 5)
            (watching,) = service._viewers.values()
            assert watching.counters.resent >= len(relay.dropped) - 1
            await viewer.close()


async def test_aiortc_follows_a_new_resolution(viewer: AiortcViewer, serve: Serve) -> None:
    camera = Camera()
    service = await serve(camera)
    async with camera.live():
        answer = await service.offer(CAMERA, await viewer.offer())
        await viewer.accept(answer.sdp)
        await viewer.until(lambda: viewer.frames["video"] >= 5 and viewer.width == 320)
        camera.show(h264_pictures(50, width=640))
        await viewer.until(lambda: viewer.width == 640)
        await viewer.close()
