"""Small stand-ins for the services behind the API, and clients of the application on top of them."""

import itertools
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import UUID

import httpx

from vms.api.application import ApiSettings, create_app
from vms.api.ports import Ports
from vms.common.camera import Camera
from vms.common.clock import NS, ManualClock, rfc3339
from vms.common.errors import Conflict, InvalidInput, NotFound, Unavailable
from vms.common.ids import CameraId
from vms.common.source_url import SourceUrl
from vms.gateway.registry import CameraRegistry
from vms.media import Codec, Gap, GapReason, Hub
from vms.stream.hubs import OwnHub
from vms.telemetry.metrics import MetricFamily, MetricKind, ProcessMetrics

PASSWORD = "Xq7-very-secret-9Zt"
TOKEN = "a-token-of-enough-characters"
NOW_NS = 1_700_000_000 * NS
SEGMENT_ID = UUID("018bcfe5-6800-7eeb-85eb-8dc84d41d181")
OFFER = "v=0\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n"


def porch(**changes: object) -> Camera:
    fields: dict[str, object] = {
        "id": "porch",
        "name": "Front porch",
        "source": SourceUrl(f"rtsp://admin:{PASSWORD}@192.0.2.10/stream1"),
    }
    return Camera.model_validate({**fields, **changes})


@dataclass(frozen=True)
class Status:
    state: str = "live"
    reason: str | None = None
    reason_code: str | None = None
    codec: Codec | None = Codec.H264
    width: int | None = 1920
    height: int | None = 1080
    fps: float | None = 24.998
    bitrate: int | None = 4_000_000
    audio: Codec | None = Codec.AAC
    last_frame_ns: int | None = NOW_NS


class Streams:
    """Live state: what a test put there; unknown cameras are unknown."""

    def __init__(self) -> None:
        self.statuses: dict[str, Status] = {}
        self.hubs: dict[str, Hub] = {}

    def status(self, camera_id: CameraId) -> Status:
        if camera_id not in self.statuses:
            raise NotFound(f"no camera {camera_id}")
        return self.statuses[camera_id]

    def lease(self, camera_id: CameraId) -> OwnHub:
        return OwnHub(self.hubs.setdefault(camera_id, Hub(camera_id)))


class Recorder:
    def __init__(self) -> None:
        self.cameras: set[str] = set()
        self.errors: dict[str, str] = {}

    def recording(self, camera_id: CameraId) -> bool:
        return camera_id in self.cameras

    def recording_error(self, camera_id: CameraId) -> str | None:
        return self.errors.get(camera_id)


class Bytes:
    """Known bytes in pieces; remembers how many were taken and whether it was closed."""

    def __init__(self, data: bytes, *, piece: int = 7, closed: bool = True) -> None:
        self.data = data
        self.etag = "abc-1"
        self.closed = closed
        self.start_ns = NOW_NS - 60 * NS
        self.pieces_taken = 0
        self.times_closed = 0
        self.failure: Exception | None = None
        self._piece = piece

    @property
    def size_bytes(self) -> int:
        return len(self.data)

    async def chunks(self, first: int, last: int) -> AsyncIterator[bytes]:
        for start in range(first, last + 1, self._piece):
            self.pieces_taken += 1
            yield self.data[start : min(start + self._piece, last + 1)]
            if self.failure is not None:
                raise self.failure

    async def close(self) -> None:
        self.times_closed += 1


@dataclass(frozen=True)
class Stretch:
    start_ns: int
    end_ns: int


@dataclass(frozen=True)
class File:
    id: UUID = SEGMENT_ID
    start_ns: int = NOW_NS - 300 * NS
    end_ns: int = NOW_NS
    size_bytes: int = 12345
    closed: bool = True
    video: Codec | None = Codec.H264
    audio: Codec | None = None


@dataclass
class Footage:
    spans: list[Stretch] = field(default_factory=lambda: [Stretch(NOW_NS - 300 * NS, NOW_NS)])
    segments: list[File] = field(default_factory=lambda: [File(), replace(File(), closed=False)])
    gaps: list[Gap] = field(
        default_factory=lambda: [
            Gap(NOW_NS - 400 * NS, NOW_NS - 300 * NS, GapReason.CAMERA_LOST, "no answer"),
            Gap(NOW_NS, None, GapReason.DISK_ERROR),
        ]
    )


class Player:
    """Playback of invented footage; remembers what was asked of it."""

    def __init__(self) -> None:
        self.footage = Footage()
        self.source = Bytes(bytes(range(100)))
        self.asked: list[tuple[object, ...]] = []

    async def timeline(self, camera_id: CameraId, start_ns: int, end_ns: int) -> Footage:
        self.asked.append((camera_id, start_ns, end_ns))
        return self.footage

    async def playlist(
        self,
        camera_id: CameraId,
        start_ns: int,
        end_ns: int,
        *,
        segment_url: Callable[[UUID], str],
        init_url: Callable[[UUID], str],
    ) -> str:
        self.asked.append((camera_id, start_ns, end_ns))
        return f"#EXTM3U\n{segment_url(SEGMENT_ID)}\n{init_url(SEGMENT_ID)}\n"

    async def export(self, camera_id: CameraId, start_ns: int, end_ns: int) -> Bytes:
        self.asked.append((camera_id, start_ns, end_ns))
        return self.source

    async def snapshot(self, camera_id: CameraId, at_ns: int) -> bytes:
        if at_ns < NOW_NS - 300 * NS:
            raise NotFound(f"{camera_id}: nothing was recorded at {rfc3339(at_ns)}")
        return b"\xff\xd8 a picture of then"

    async def segment_bytes(self, camera_id: CameraId, segment_id: UUID) -> Bytes:
        if (camera_id, segment_id) != ("porch", SEGMENT_ID):
            raise NotFound("no such recording")
        return self.source

    async def init_segment(self, camera_id: CameraId, segment_id: UUID) -> bytes:
        if (camera_id, segment_id) != ("porch", SEGMENT_ID):
            raise NotFound("no such recording")
        return b"an init segment"


@dataclass(frozen=True)
class LiveSession:
    camera_id: CameraId
    etag: str = '"an-ice-session"'
    ufrag: str = "abcd"


@dataclass(frozen=True)
class Reply:
    session_id: str
    sdp: str
    session: LiveSession


class NotViewable(Conflict):
    def __init__(self, reason: str) -> None:
        super().__init__(f"cannot be watched: {reason}")
        self.reason = reason


@dataclass(frozen=True)
class View:
    playable: bool = True
    reason: str | None = None
    detail: str = ""


class Viewers:
    """WebRTC without WebRTC: sessions are names."""

    def __init__(self) -> None:
        self.sessions: dict[str, CameraId] = {}
        self.begun = 0
        self.refusal: str | None = None
        self.views = {"porch": View()}
        self._names = (f"session-{number}" for number in itertools.count(1))

    async def offer(self, camera_id: CameraId, sdp: str) -> Reply:
        if self.refusal is not None:
            raise NotViewable(self.refusal)
        if not sdp.startswith("v=0"):
            raise InvalidInput("the offer is no SDP: it must begin with v=0")
        name = next(self._names)
        self.sessions[name] = camera_id
        self.begun += 1
        return Reply(name, "v=0\r\nthe answer\r\n", LiveSession(camera_id))

    async def session(self, session_id: str) -> LiveSession:
        if session_id not in self.sessions:
            raise NotFound("no such session")
        return LiveSession(self.sessions[session_id])

    async def end(self, session_id: str) -> None:
        if self.sessions.pop(session_id, None) is None:
            raise NotFound("no such session")

    def viewability(self, camera_id: CameraId) -> View:
        if camera_id not in self.views:
            raise NotFound(f"no camera {camera_id}")
        return self.views[camera_id]

    def viewers(self, camera_id: CameraId) -> int:
        return sum(other == camera_id for other in self.sessions.values())


@dataclass(frozen=True)
class Process:
    role: str
    worker: str
    pid: int = 4711
    state: str = "running"
    cameras: int = 0
    viewers: int = 0
    cpu_percent: float = 1.5
    memory_bytes: int = 60_000_000
    loop_lag_ms: float | None = 1.0
    restarts: int = 0
    uptime_s: float = 60.0
    detail: str = ""


class Machine:
    """Two processes; restarts are remembered."""

    def __init__(self) -> None:
        self.restarted: list[str] = []
        self.away = False

    async def processes(self) -> list[Process]:
        if self.away:
            raise Unavailable("the supervisor does not answer")
        return [Process("media", "media-0", cameras=3), Process("nats", "nats", loop_lag_ms=None)]

    async def restart(self, target: str) -> list[str]:
        if target not in ("media", "media-0"):
            raise NotFound(f"no process {target}; there are media-0, nats")
        self.restarted.append(target)
        return ["media-0"]

    async def metrics(self) -> list[ProcessMetrics]:
        family = MetricFamily("vms_camera_live", MetricKind.GAUGE, "live", ("camera",), [(("porch",), 1.0)])
        return [ProcessMetrics("media", "media-0", [family])]


@dataclass(frozen=True)
class Happening:
    id: str
    at_ns: int
    kind: str = "camera_live"
    camera_id: str = "porch"
    worker: str = "media-0"
    text: str = "the camera is live"
    facts: dict[str, str] = field(default_factory=dict)


class Journal:
    """Events that a test put there, in any order."""

    def __init__(self) -> None:
        self.happenings: list[Happening] = []
        self.failing = False

    async def events(
        self, *, limit: int, before: tuple[int, str] | None, kind: str | None, camera_id: str | None
    ) -> list[Happening]:
        if self.failing:
            raise Unavailable("the journal cannot be read now")
        found = [
            event
            for event in sorted(self.happenings, key=lambda event: (event.at_ns, event.id), reverse=True)
            if (before is None or (event.at_ns, event.id) < before)
            and kind in (None, event.kind)
            and camera_id in (None, event.camera_id)
        ]
        return found[:limit]


@dataclass
class Backend:
    """Everything behind the API under test."""

    registry: CameraRegistry
    clock: ManualClock
    data_dir: Path
    streams: Streams = field(default_factory=Streams)
    recorder: Recorder = field(default_factory=Recorder)
    player: Player = field(default_factory=Player)
    viewers: Viewers = field(default_factory=Viewers)
    machine: Machine = field(default_factory=Machine)
    journal: Journal = field(default_factory=Journal)
    ready: bool = True

    @property
    def ports(self) -> Ports:
        return Ports(
            self.registry,
            self.streams,
            self.recorder,
            self.player,
            self.viewers,
            self.streams.lease,
            self.machine,
            self.journal,
            self.clock,
            lambda: self.ready,
        )

    def client(
        self,
        token: str | None = None,
        *,
        loopback: bool = True,
        web_root: Path | None = None,
        **options: object,
    ) -> httpx.AsyncClient:
        """A client of a fresh application. An unexpected error reaches the test only as its answer."""
        app = create_app(
            self.ports, ApiSettings(token, b"s" * 32, loopback, web_root or self.data_dir / "no-web")
        )
        transport = httpx.ASGITransport(app, client=("192.0.2.99", 1234))
        return httpx.AsyncClient(transport=transport, base_url="http://localhost:8080", **options)  # type: ignore[arg-type]
