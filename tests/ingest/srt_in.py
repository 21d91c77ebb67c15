"""What an srt process and a media process have between them, in this one; and encoders that are not ours."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.ingest.publishing import Kept

from vms.common.camera import Camera
from vms.common.clock import SystemClock
from vms.common.ids import CameraId
from vms.ingest import CameraState, IngestService
from vms.ingest.publishers import Publishers
from vms.ingest.srt.gateway import SrtGateway
from vms.ingest.whip_source import sources
from vms.media import Hub
from vms.wire.srt import (
    Accept,
    Call,
    Refuse,
    SrtConnection,
    SrtListener,
    SrtOptions,
    SrtPoller,
    parse_stream_id,
)

PASSPHRASE = "correct-horse-battery"


class SrtIn:
    """A gateway, a listener before it, and cameras behind it."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "srt.ts"
        self.clock = SystemClock()
        self.publishers = Publishers(0, self.clock)
        self.ingest = IngestService(self.clock, sources(self.publishers, self.path))
        self.kept: dict[CameraId, Kept] = {}
        self.poller: SrtPoller
        self.gateway: SrtGateway
        self.listener: SrtListener

    async def start(self) -> None:
        """The srt process; again after `kill`."""
        self.poller = await SrtPoller().start()
        self.gateway = SrtGateway(self.path, self.poller)
        await self.gateway.start()
        self.listener = SrtListener(self.poller, ("127.0.0.1", 0), SrtOptions(), self._decide, self._came)
        await self.listener.start()

    async def kill(self) -> None:
        """The end of the srt process."""
        await self.listener.stop()
        await self.gateway.stop()
        await self.poller.stop()

    async def stop(self) -> None:
        await self.ingest.stop()
        await self.kill()

    async def add(self, camera_id: str, source: str) -> Hub:
        camera = Camera.model_validate({"id": camera_id, "name": camera_id, "source": source})
        hub = await self.ingest.put(camera)
        self.kept[camera.id] = Kept()
        hub.attach(self.kept[camera.id])
        return hub

    def publish_url(
        self, camera_id: str, passphrase: str = PASSPHRASE, *, form: str = "#!::m=publish,r="
    ) -> str:
        port = self.listener.address[1]
        return f"srt://127.0.0.1:{port}?streamid={form}{camera_id}&passphrase={passphrase}"

    def code(self, camera_id: str) -> str | None:
        """Why a camera is not live; None when it is."""
        status = self.ingest.status(CameraId(camera_id))
        return None if status.state is CameraState.LIVE else status.reason_code or "?"

    def reason(self, camera_id: str) -> str:
        return self.ingest.status(CameraId(camera_id)).reason or ""

    def pictures(self, camera_id: str) -> int:
        return len(self.kept[CameraId(camera_id)].pictures())

    async def until_live(self, camera_id: str) -> None:
        await until(
            lambda: self.code(camera_id) is None, lambda: f"{self.code(camera_id)}: {self.reason(camera_id)}"
        )

    def _decide(self, call: Call) -> Accept | Refuse:
        reason = self.gateway.refuses(parse_stream_id(call.stream_id).camera_id)
        return Accept(PASSPHRASE) if reason is None else Refuse(reason)

    def _came(self, connection: SrtConnection) -> None:
        self.gateway.take(parse_stream_id(connection.stream_id).camera_id, connection)


class Program:
    """A program that is not ours, ended with the test."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @classmethod
    async def start(cls, *command: str) -> "Program":
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=pipe
        )
        return cls(process)

    async def end(self) -> str:
        """Kill it without a word; what it said."""
        if self.process.returncode is None:
            self.process.kill()
        _, said = await self.process.communicate()
        return said.decode(errors="replace")

    async def ended(self, timeout_s: float = 30) -> str:
        """Wait for its own end; what it said."""
        async with asyncio.timeout(timeout_s):
            _, said = await self.process.communicate()
        return said.decode(errors="replace")


def ffmpeg(*arguments: str, url: str) -> Sequence[str]:
    """A command that sends in real time. arguments: of input and codecs."""
    return ["ffmpeg", "-hide_banner", "-loglevel", "error", "-re", *arguments, "-f", "mpegts", url]


def footage_with_sound(path: Path) -> Sequence[str]:
    """Real pictures with B-frames as they are, and a tone."""
    pictures = ["-stream_loop", "-1", "-i", str(path)]
    sound = ["-re", "-f", "lavfi", "-i", "sine=sample_rate=48000"]
    return [*pictures, *sound, "-map", "0:v", "-map", "1:a", "-c:v", "copy", "-c:a", "aac", "-ac", "2"]


async def until(
    condition: Callable[[], object], what: Callable[[], str] = lambda: "", timeout_s: float = 30
) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            while not condition():
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"did not happen in {timeout_s:g} s: {what()}") from None


class LossyWay(asyncio.DatagramProtocol):
    """A UDP relay to `server` for one client, which loses every `each`-th SRT data packet to it."""

    def __init__(self, server: tuple[str, int], each: int) -> None:
        self.lost = 0
        self._server = server
        self._each = each
        self._seen = 0
        self._client: tuple[str, int] | None = None
        self._transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, source: tuple[str, int]) -> None:
        if source == self._server:
            if self._client is not None:
                self._transport.sendto(data, self._client)
            return
        self._client = source
        if data[0] < 0x80:  # data, not control (draft-sharabayko-srt §3)
            self._seen += 1
            if self._seen % self._each == 0:
                self.lost += 1
                return
        self._transport.sendto(data, self._server)
