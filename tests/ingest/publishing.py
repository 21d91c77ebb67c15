"""A place for publishers, and publishers that are not ours."""

import asyncio
import fractions
from collections.abc import Callable
from typing import Any

import av
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack

from vms.common.camera import Camera
from vms.common.clock import SystemClock
from vms.common.ids import CameraId
from vms.ingest import CameraState, IngestService
from vms.ingest.publishers import Publishers
from vms.ingest.whip_source import sources
from vms.media import AccessUnit, Gap, Hub

CAMERA = CameraId("porch")
PUBLISHED = Camera.model_validate({"id": CAMERA, "name": "Porch", "source": "whip://publish"})


class Kept:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.units: list[AccessUnit] = []
        self.gaps: list[Gap] = []

    def push(self, unit: AccessUnit) -> None:
        self.units.append(unit)

    def gap(self, gap: Gap) -> None:
        self.gaps.append(gap)

    def pictures(self) -> list[AccessUnit]:
        return [unit for unit in self.units if unit.track.codec.kind == "video"]

    def sounds(self) -> list[AccessUnit]:
        return [unit for unit in self.units if unit.track.codec.kind == "audio"]


class Place:
    """The ingest side: one camera that waits for a publisher."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.publishers = Publishers(0, self.clock)
        self.ingest = IngestService(self.clock, sources(self.publishers))
        self.kept = Kept()
        self.hub: Hub | None = None

    async def open(self) -> None:
        self.hub = await self.ingest.put(PUBLISHED)
        self.hub.attach(self.kept)

    async def close(self) -> None:
        await self.ingest.stop()

    async def until(self, condition: Callable[[], object], timeout_s: float = 60) -> None:
        async with asyncio.timeout(timeout_s):
            while not condition():
                await asyncio.sleep(0.02)

    async def until_waiting(self) -> None:
        await self.until(
            lambda: (
                (s := self.ingest.status(CAMERA)).state is CameraState.CONNECTING
                and s.reason_code == "no_publisher"
            )
        )


class _Pictures(MediaStreamTrack):
    """Grey that changes, 320x240, 25 pictures a second."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self._at = 0
        self._begun_s: float | None = None

    async def recv(self) -> Any:
        loop = asyncio.get_running_loop()
        self._begun_s = self._begun_s or loop.time()
        await asyncio.sleep(self._begun_s + self._at / 25 - loop.time())
        frame = av.VideoFrame(320, 240, "yuv420p")
        for plane, value in zip(frame.planes, (16 + self._at * 3 % 200, 128, 128), strict=True):
            plane.update(bytes((value,)) * plane.buffer_size)
        frame.pts, frame.time_base = self._at * 3600, fractions.Fraction(1, 90_000)
        self._at += 1
        return frame


class AiortcPublisher:
    def __init__(self) -> None:
        self.connection = RTCPeerConnection()
        self.connection.addTransceiver(_Pictures(), direction="sendonly")

    async def offer(self) -> str:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return str(self.connection.localDescription.sdp)

    async def accept(self, answer: str) -> None:
        await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def close(self) -> None:
        await self.connection.close()
