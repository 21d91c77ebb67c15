"""Small stand-ins for the services behind the API, and clients of the application on top of them."""

import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import UUID

import httpx

from vms.api.application import ApiSettings, create_app
from vms.api.export_ports import ExportRequest
from vms.api.ice_servers import IceServer
from vms.api.ports import Ports, Site
from vms.common.camera import Camera
from vms.common.clock import NS, ManualClock, rfc3339
from vms.common.errors import Conflict, InvalidInput, NotFound, Unavailable
from vms.common.ids import CameraId
from vms.common.source_url import SourceUrl
from vms.common.stream_name import StreamName
from vms.gateway.evidence_client import BookmarkClient, LockClient
from vms.gateway.registry import CameraRegistry
from vms.ingest.errors import PublisherPresent
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
        self.sub_statuses: dict[str, Status] = {}
        self.hubs: dict[str, Hub] = {}

    def status(self, camera_id: CameraId) -> Status:
        if camera_id not in self.statuses:
            raise NotFound(f"no camera {camera_id}")
        return self.statuses[camera_id]

    def sub_status(self, camera_id: CameraId) -> Status | None:
        return self.sub_statuses.get(camera_id)

    def lease(self, camera_id: CameraId) -> OwnHub:
        return OwnHub(self.hubs.setdefault(camera_id, Hub(camera_id)))


class Recorder:
    def __init__(self) -> None:
        self.cameras: set[str] = set()
        self.errors: dict[str, str] = {}
        self.states: dict[str, str] = {}

    def recording_state(self, camera_id: CameraId) -> str | None:
        return self.states.get(camera_id)

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
    tier: str = ""


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

    async def export(self, camera_id: CameraId, start_ns: int, end_ns: int, *, exact: bool = False) -> Bytes:
        self.asked.append((camera_id, start_ns, end_ns, *(["exact"] if exact else [])))
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
    stream: StreamName = StreamName.MAIN


@dataclass(frozen=True)
class Reply:
    session_id: str
    sdp: str
    session: LiveSession


@dataclass(frozen=True)
class Restarted:
    session: LiveSession
    fragment: str


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
        self.restarted: dict[str, LiveSession] = {}
        self.streams: dict[str, StreamName] = {}
        self.selected: list[StreamName] = []
        self.begun = 0
        self.refusal: str | None = None
        self.refused: frozenset[StreamName] = frozenset(StreamName)  # for the sake of `refusal`
        self.views = {"porch": View()}
        self._names = (f"session-{number}" for number in itertools.count(1))

    async def offer(self, camera_id: CameraId, sdp: str, stream: StreamName = StreamName.MAIN) -> Reply:
        if self.refusal is not None and stream in self.refused:
            raise NotViewable(self.refusal)
        if not sdp.startswith("v=0"):
            raise InvalidInput("the offer is no SDP: it must begin with v=0")
        name = next(self._names)
        self.sessions[name] = camera_id
        self.streams[name] = stream
        self.begun += 1
        return Reply(name, "v=0\r\nthe answer\r\n", LiveSession(camera_id, stream=stream))

    async def select(self, session_id: str, stream: StreamName) -> None:
        await self.session(session_id)
        self.streams[session_id] = stream
        self.selected.append(stream)

    def suitable(
        self, camera_id: CameraId, width: int, height: int, current: StreamName | None = None
    ) -> StreamName:
        return StreamName.SUB if height < 400 else StreamName.MAIN

    async def session(self, session_id: str) -> LiveSession:
        if session_id not in self.sessions:
            raise NotFound("no such session")
        again = LiveSession(self.sessions[session_id], stream=self.streams[session_id])
        return self.restarted.get(session_id, again)

    async def restart(self, session_id: str, ufrag: str) -> Restarted:
        session = LiveSession((await self.session(session_id)).camera_id, f'"after {ufrag}"', ufrag)
        self.restarted[session_id] = session
        return Restarted(session, "a=ice-ufrag:ours\r\na=ice-pwd:our-password-of-22-signs\r\n")

    async def end(self, session_id: str) -> None:
        if self.sessions.pop(session_id, None) is None:
            raise NotFound("no such session")

    def viewability(self, camera_id: CameraId) -> View:
        if camera_id not in self.views:
            raise NotFound(f"no camera {camera_id}")
        return self.views[camera_id]

    def viewers(self, camera_id: CameraId) -> int:
        return sum(other == camera_id for other in self.sessions.values())


class PublishersByName:
    """WHIP without WebRTC: sessions are names, one a camera."""

    def __init__(self) -> None:
        self.sessions: dict[str, LiveSession] = {}
        self._names = (f"publisher-{number}" for number in itertools.count(1))

    async def offer(self, camera_id: CameraId, sdp: str, *, take_over: bool) -> Reply:
        if not sdp.startswith("v=0"):
            raise InvalidInput("the offer is no SDP: it must begin with v=0")
        present = [name for name, session in self.sessions.items() if session.camera_id == camera_id]
        if present and not take_over:
            raise PublisherPresent(f"{camera_id} is being published already")
        for name in present:
            del self.sessions[name]
        name = next(self._names)
        self.sessions[name] = LiveSession(camera_id)
        return Reply(name, "v=0\r\nthe answer\r\n", self.sessions[name])

    async def session(self, session_id: str) -> LiveSession:
        if session_id not in self.sessions:
            raise NotFound("no such session")
        return self.sessions[session_id]

    async def restart(self, session_id: str, ufrag: str) -> Restarted:
        before = await self.session(session_id)
        self.sessions[session_id] = LiveSession(before.camera_id, f'"after {ufrag}"', ufrag)
        return Restarted(self.sessions[session_id], "a=ice-ufrag:ours\r\n")

    async def end(self, session_id: str) -> None:
        await self.session(session_id)
        del self.sessions[session_id]


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
        self,
        *,
        limit: int,
        before: tuple[int, str] | None,
        kind: str | None,
        camera_id: str | None,
        since_ns: int | None,
        until_ns: int | None,
    ) -> list[Happening]:
        if self.failing:
            raise Unavailable("the journal cannot be read now")
        found = [
            event
            for event in sorted(self.happenings, key=lambda event: (event.at_ns, event.id), reverse=True)
            if (before is None or (event.at_ns, event.id) < before)
            and kind in (None, event.kind)
            and camera_id in (None, event.camera_id)
            and (since_ns is None or since_ns <= event.at_ns)
            and (until_ns is None or event.at_ns < until_ns)
        ]
        return found[:limit]


class Teller:
    """Remembers the events that it was to tell."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def tell(self, kind: str, camera_id: CameraId, at_ns: int, text: str, facts: Mapping[str, str]) -> str:
        self.told.append((kind, camera_id, at_ns, text, dict(facts)))
        return f"event-{len(self.told)}"


class Archive:
    """Coverage that a test put there."""

    def __init__(self) -> None:
        self.runs: dict[str, list[tuple[int, int]]] = {}
        self.events: dict[str, list[tuple[int, int]]] = {}
        self.joined_ns: list[int] = []

    async def coverage(
        self, camera_id: CameraId, start_ns: int, end_ns: int, join_ns: int
    ) -> list[tuple[int, int]]:
        self.joined_ns.append(join_ns)
        return [run for run in self.runs.get(camera_id, ()) if run[1] > start_ns and run[0] < end_ns]

    async def event_ranges(self, camera_id: CameraId, start_ns: int, end_ns: int) -> list[tuple[int, int]]:
        return [run for run in self.events.get(camera_id, ()) if run[1] > start_ns and run[0] < end_ns]


@dataclass(frozen=True)
class Checked:
    id: UUID = SEGMENT_ID
    start_ns: int = NOW_NS - 300 * NS
    end_ns: int = NOW_NS
    state: str = "verified"
    signed_ns: int | None = NOW_NS
    node: str | None = "here"
    key_fingerprint: str | None = "ab" * 32
    recovered: bool = False
    follows: bool | None = True
    detail: str = ""


@dataclass
class Verdict:
    state: str = "verified"
    segments: list[Checked] = field(default_factory=lambda: [Checked()])


class Verifier:
    def __init__(self) -> None:
        self.verdict = Verdict()
        self.asked: list[tuple[object, ...]] = []

    async def verify(self, camera_id: CameraId, start_ns: int, end_ns: int) -> Verdict:
        self.asked.append((camera_id, start_ns, end_ns))
        return self.verdict


@dataclass(frozen=True)
class SmallPicture:
    jpeg: bytes
    time_ns: int


@dataclass(frozen=True)
class PictureStrip:
    jpeg: bytes
    times_ns: list[int | None]
    columns: int
    width: int
    height: int


class Thumbnails:
    """Pictures from five minutes ago until now, a key frame every ten seconds."""

    async def thumbnail(self, camera_id: CameraId, at_ns: int, width: int) -> SmallPicture:
        if at_ns < NOW_NS - 300 * NS:
            raise NotFound(f"{camera_id}: nothing was recorded then: camera_lost")
        return SmallPicture(b"\xff\xd8" + str(width).encode(), at_ns - at_ns % (10 * NS))

    async def strip(
        self, camera_id: CameraId, start_ns: int, end_ns: int, count: int, width: int
    ) -> PictureStrip:
        middles = [start_ns + int((end_ns - start_ns) / count * (n + 0.5)) for n in range(count)]
        times = [at_ns if at_ns >= NOW_NS - 300 * NS else None for at_ns in middles]
        return PictureStrip(b"\xff\xd8strip", times, min(count, 10), width, width // 2)


@dataclass
class Job:
    id: UUID
    request: ExportRequest
    state: str = "queued"
    progress: float = 0.0
    stage: str = "waiting"
    size_bytes: int = 0
    error: str | None = None
    created_ns: int = NOW_NS
    expires_ns: int | None = None
    file_name: str | None = None
    verified: bool | None = None


class JobFile(Bytes):
    name = "case 4711 \u00fc.zip"
    media_type = "application/zip"


class Jobs:
    """Exports that a test moves on by hand."""

    def __init__(self) -> None:
        self.jobs: dict[UUID, Job] = {}
        self.away = False

    async def create(self, request: ExportRequest) -> Job:
        self._check()
        job = Job(UUID(int=len(self.jobs) + 1), request)
        self.jobs[job.id] = job
        return job

    async def list(self) -> list[Job]:
        self._check()
        return list(self.jobs.values())[::-1]

    async def get(self, job_id: UUID) -> Job:
        self._check()
        if job_id not in self.jobs:
            raise NotFound("no such export")
        return self.jobs[job_id]

    async def delete(self, job_id: UUID) -> None:
        await self.get(job_id)
        del self.jobs[job_id]

    async def file(self, job_id: UUID) -> JobFile:
        job = await self.get(job_id)
        if job.state != "done":
            raise Conflict(f"the export is {job.state}")
        return JobFile(bytes(range(100)))

    def _check(self) -> None:
        if self.away:
            raise Unavailable("the process that makes exports does not answer")


@dataclass(frozen=True)
class Tier:
    name: str = "cold"
    kind: str = "s3"
    used_bytes: int = 5
    quota_bytes: int = 1000
    error: str = ""


@dataclass(frozen=True)
class Volume:
    path: str = "/recordings"
    id: UUID | None = SEGMENT_ID
    state: str = "ok"
    error: str = ""
    used_bytes: int = 10
    quota_bytes: int = 100
    room_bytes: int = 90
    encrypted: bool = True
    tiers: tuple[Tier, ...] = (Tier(),)
    locked_bytes: int = 3
    alarms: tuple[str, ...] = ()
    found: dict[str, int] = field(default_factory=lambda: {"repaired": 1})


class Volumes:
    def __init__(self) -> None:
        self.known: list[Volume] = [Volume()]

    async def volumes(self) -> list[Volume]:
        return self.known


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
    teller: Teller = field(default_factory=Teller)
    archive: Archive = field(default_factory=Archive)
    verifier: Verifier = field(default_factory=Verifier)
    thumbnails: Thumbnails = field(default_factory=Thumbnails)
    jobs: Jobs = field(default_factory=Jobs)
    volumes: Volumes = field(default_factory=Volumes)
    locks: LockClient | None = None
    bookmarks: BookmarkClient | None = None
    ready: bool = True
    ice_servers: list[IceServer] = field(default_factory=list)
    publishers: PublishersByName = field(default_factory=PublishersByName)

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
            verifier=self.verifier,
            thumbnails=self.thumbnails,
            exports=self.jobs,
            coverage=self.archive,
            tell_event=self.teller,
            locks=self.locks,
            bookmarks=self.bookmarks,
            volumes=self.volumes,
            site=Site("Headquarters", "America/Sao_Paulo"),
            retention_classes={"evidence"},
            ice_servers=lambda: self.ice_servers,
            publishing=self.publishers,
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
