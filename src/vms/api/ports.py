"""What the API needs of the other services, as the smallest Protocols that do; app supplies them.

Times are Unix nanoseconds, UTC. Errors are those of vms.common.errors; each names what it raises.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from vms.api.byte_source import ByteSource
from vms.api.evidence_ports import Bookmarks, Locks, Verifier
from vms.api.export_ports import ExportJobs, Thumbnails
from vms.api.ice_servers import IceServer
from vms.api.volume_ports import Volumes
from vms.common.camera import Camera
from vms.common.clock import Clock
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.media import Codec, Gap, Hub
from vms.telemetry.metrics import MetricSource, ProcessMetrics


class RegisteredCamera(Protocol):
    """managed_by: ``file`` (locked here) or ``api``."""

    @property
    def camera(self) -> Camera: ...
    @property
    def managed_by(self) -> str: ...


class Registry(Protocol):
    """The configured cameras (vms.gateway). A change is in effect when its call returns."""

    async def list(self) -> Sequence[RegisteredCamera]: ...
    async def get(self, camera_id: CameraId) -> RegisteredCamera:
        """Raises NotFound."""

    async def create(self, camera: Camera) -> RegisteredCamera:
        """Raises Conflict when the id is taken."""

    async def update(self, camera_id: CameraId, changes: Mapping[str, object]) -> RegisteredCamera:
        """changes: fields of Camera. Raises NotFound, Conflict, InvalidInput."""

    async def delete(self, camera_id: CameraId) -> None:
        """Raises NotFound, Conflict."""


class StreamStatus(Protocol):
    """A camera's live state as ingest measures it.

    state: connecting, live, failed or stopped. fps: pictures a second. bitrate: bits a second.
    """

    @property
    def state(self) -> str: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def reason_code(self) -> str | None: ...
    @property
    def codec(self) -> Codec | None: ...
    @property
    def width(self) -> int | None: ...
    @property
    def height(self) -> int | None: ...
    @property
    def fps(self) -> float | None: ...
    @property
    def bitrate(self) -> int | None: ...
    @property
    def audio(self) -> Codec | None: ...
    @property
    def last_frame_ns(self) -> int | None: ...


class LiveStatus(Protocol):
    """The live streams, wherever they are pulled."""

    def status(self, camera_id: CameraId) -> StreamStatus:
        """Raises NotFound."""

    def sub_status(self, camera_id: CameraId) -> StreamStatus | None:
        """The state of its sub stream; stopped while nobody watches it. None where it has none, or none is known."""


class HubLease(Protocol):
    """The right to a stream's hub, until released."""

    @property
    def hub(self) -> Hub: ...
    async def ready(self, timeout_s: float) -> None:
        """Wait until the hub knows its stream. Raises Unavailable with the reason."""

    def release(self) -> None: ...


class Recording(Protocol):
    """Whether cameras are being recorded now (vms.storage)."""

    def recording(self, camera_id: CameraId) -> bool: ...
    def recording_state(self, camera_id: CameraId) -> str | None:
        """recording, waiting_event, not_scheduled, off or failed; None while nothing was heard of it."""

    def recording_error(self, camera_id: CameraId) -> str | None:
        """Why footage that the camera delivers is not kept, for a person; None when nothing is wrong."""


class Span(Protocol):
    @property
    def start_ns(self) -> int: ...
    @property
    def end_ns(self) -> int: ...


class Segment(Protocol):
    """One recording file. closed: it will not grow."""

    @property
    def id(self) -> UUID: ...
    @property
    def start_ns(self) -> int: ...
    @property
    def end_ns(self) -> int: ...
    @property
    def size_bytes(self) -> int: ...
    @property
    def closed(self) -> bool: ...
    @property
    def tier(self) -> str:
        """Where its file lies: the name of a tier; "" on its volume."""

    @property
    def video(self) -> Codec | None: ...
    @property
    def audio(self) -> Codec | None: ...


class Timeline(Protocol):
    """What is recorded of a camera in a range: merged coverage, the files, and what is missing."""

    @property
    def spans(self) -> Sequence[Span]: ...
    @property
    def segments(self) -> Sequence[Segment]: ...
    @property
    def gaps(self) -> Sequence[Gap]: ...


class Export(ByteSource, Protocol):
    """An MP4 of a range. start_ns: the key frame that it really begins with."""

    @property
    def start_ns(self) -> int: ...


class SegmentBytes(ByteSource, Protocol):
    """One recording file up to its last whole fragment. closed: it will not grow."""

    @property
    def closed(self) -> bool: ...


class Playback(Protocol):
    """Recorded footage (vms.storage.playback). Ranges are half-open; all raise NotFound where nothing is."""

    async def timeline(self, camera_id: CameraId, start_ns: int, end_ns: int) -> Timeline: ...
    async def playlist(
        self,
        camera_id: CameraId,
        start_ns: int,
        end_ns: int,
        *,
        segment_url: Callable[[UUID], str],
        init_url: Callable[[UUID], str],
    ) -> str:
        """HLS playlist text (RFC 8216). The URLs are those of `segment_bytes` and of `init_segment`."""

    async def export(self, camera_id: CameraId, start_ns: int, end_ns: int, *, exact: bool = False) -> Export:
        """exact: players begin with the picture at `start_ns`, by an edit list; else with the key frame before."""

    async def snapshot(self, camera_id: CameraId, at_ns: int) -> bytes:
        """JPEG of the picture that was shown at that time."""

    async def segment_bytes(self, camera_id: CameraId, segment_id: UUID) -> SegmentBytes:
        """Raises NotFound also when the segment is another camera's."""

    async def init_segment(self, camera_id: CameraId, segment_id: UUID) -> bytes:
        """A recording's init segment without its sound. Raises NotFound as `segment_bytes` does."""


class LiveSession(Protocol):
    """A viewer's or publisher's session. etag: quoted, names its ICE session. ufrag: theirs."""

    @property
    def camera_id(self) -> CameraId: ...
    @property
    def etag(self) -> str: ...
    @property
    def ufrag(self) -> str: ...


class Restarted(Protocol):
    """An ICE restart. session: with its new etag. fragment: the server's side, an SDP fragment (RFC 8840)."""

    @property
    def session(self) -> LiveSession: ...
    @property
    def fragment(self) -> str: ...


class ViewerSession(LiveSession, Protocol):
    """stream: the one of its camera that the viewer wants."""

    @property
    def stream(self) -> StreamName: ...


class Answer(Protocol):
    @property
    def session_id(self) -> str: ...
    @property
    def sdp(self) -> str: ...
    @property
    def session(self) -> LiveSession: ...


class Viewability(Protocol):
    """Whether WebRTC can carry a stream. reason: not_live, codec or b_frames. detail: for a person."""

    @property
    def playable(self) -> bool: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def detail(self) -> str: ...


class Live(Protocol):
    """WebRTC viewers (vms.stream)."""

    async def offer(self, camera_id: CameraId, sdp: str, stream: StreamName = StreamName.MAIN) -> Answer:
        """Begin a viewer. Raises InvalidInput, NotFound, Unavailable, and Conflict, with a `reason` slug,
        for a stream that WebRTC cannot carry or that is not live."""

    async def session(self, session_id: str) -> ViewerSession:
        """A viewer's session, wherever it is. Raises NotFound when it has ended."""

    async def select(self, session_id: str, stream: StreamName) -> None:
        """Send another stream of the camera from its next key picture on. Raises NotFound, Unavailable, Conflict."""

    def suitable(
        self, camera_id: CameraId, width: int, height: int, current: StreamName | None = None
    ) -> StreamName:
        """The stream that suits a tile of so many device pixels; current: what it shows now."""

    async def restart(self, session_id: str, ufrag: str) -> Restarted:
        """Restart a viewer's ICE with its new ufrag. Raises NotFound when it has ended."""

    async def end(self, session_id: str) -> None:
        """End a viewer. Raises NotFound when it has ended."""

    def viewers(self, camera_id: CameraId) -> int: ...
    def viewability(self, camera_id: CameraId) -> Viewability:
        """Raises NotFound."""


class LiveOption(Protocol):
    """One way to watch a camera (vms.stream.ladder), with its address; there may be a token in it."""

    @property
    def protocol(self) -> str: ...
    @property
    def stream(self) -> str: ...
    @property
    def url(self) -> str | None: ...
    @property
    def playable(self) -> bool: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def detail(self) -> str: ...
    @property
    def mime_type(self) -> str | None: ...
    @property
    def transcoded(self) -> bool: ...
    @property
    def certificate_hashes(self) -> Sequence[str]: ...


class LiveOptions(Protocol):
    """The ways to watch a camera now."""

    def options(
        self, camera_id: CameraId, preferred: StreamName, supports: Collection[str], host: str
    ) -> Sequence[LiveOption]:
        """Best first. supports: codecs that the viewer plays by Media Source Extensions. host: of this machine, as
        the viewer names it. Raises NotFound."""


class Publishing(Protocol):
    """WHIP publishers (vms.ingest)."""

    async def offer(self, camera_id: CameraId, sdp: str, *, take_over: bool) -> Answer:
        """Begin to receive. Raises InvalidInput, Unavailable, and Conflict with a `reason` slug."""

    async def session(self, session_id: str) -> LiveSession:
        """A publisher's session, wherever it is. Raises NotFound when it has ended."""

    async def restart(self, session_id: str, ufrag: str) -> Restarted:
        """Restart a publisher's ICE with its new ufrag. Raises NotFound when it has ended."""

    async def end(self, session_id: str) -> None:
        """End a publisher. Raises NotFound when it has ended."""


class Process(Protocol):
    """One process of the system, as `vms status` shows it. pid: 0 while it is not running."""

    @property
    def role(self) -> str: ...
    @property
    def worker(self) -> str: ...
    @property
    def pid(self) -> int: ...
    @property
    def state(self) -> str: ...
    @property
    def cameras(self) -> int: ...
    @property
    def viewers(self) -> int: ...
    @property
    def cpu_percent(self) -> float: ...
    @property
    def memory_bytes(self) -> int: ...
    @property
    def loop_lag_ms(self) -> float | None: ...
    @property
    def restarts(self) -> int: ...
    @property
    def uptime_s(self) -> float: ...
    @property
    def detail(self) -> str: ...


class Machine(Protocol):
    """The processes of this machine (vms.supervisor). Every method raises Unavailable while it does not answer."""

    async def processes(self) -> Sequence[Process]: ...
    async def restart(self, target: str) -> Sequence[str]:
        """Restart one worker, or all of a role one after the other; their names. Raises NotFound, Conflict."""

    async def metrics(self) -> Sequence[ProcessMetrics]:
        """What every process counts; those that do not answer are left out."""


class Event(Protocol):
    """Something that happened. at_ns: Unix ns. camera_id: "" for one that is no camera's."""

    @property
    def id(self) -> str: ...
    @property
    def at_ns(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def camera_id(self) -> str: ...
    @property
    def worker(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def facts(self) -> Mapping[str, str]: ...


class Events(Protocol):
    """What happened in the system (vms.gateway.journal)."""

    async def events(
        self,
        *,
        limit: int,
        before: tuple[int, str] | None,
        kind: str | None,
        camera_id: str | None,
        since_ns: int | None,
        until_ns: int | None,
    ) -> Sequence[Event]:
        """The newest first, of [since_ns, until_ns). before: (at_ns, id) of an event, those older than it.

        Raises Unavailable.
        """


class CoverageSource(Protocol):
    """Long views of what is recorded (vms.storage.library). Runs are (start, end), in order, whole or cut."""

    async def coverage(
        self, camera_id: CameraId, start_ns: int, end_ns: int, join_ns: int
    ) -> Sequence[tuple[int, int]]:
        """Runs of recorded time; holes shorter than `join_ns` are closed."""

    async def event_ranges(
        self, camera_id: CameraId, start_ns: int, end_ns: int
    ) -> Sequence[tuple[int, int]]:
        """Times of event footage."""


class TellEvent(Protocol):
    """Raises events for others (vms.app.events)."""

    def tell(self, kind: str, camera_id: CameraId, at_ns: int, text: str, facts: Mapping[str, str]) -> str:
        """Keep an event until the bus has it; its id."""


@dataclass(frozen=True, slots=True)
class Site:
    """The place that the system watches. time_zone: a name of the IANA database."""

    name: str = ""
    time_zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything the API works with.

    lease: gives a camera's hub for live pictures; raises NotFound.
    ready: whether every service has started and works; asked by GET /readyz.
    worker: the name of this process. metrics: who else counts in it.
    retention_classes: names that cameras may refer to; None: not known, any is taken.
    Those that may be None are not there in a process that does not have what they need.
    """

    registry: Registry
    live_status: LiveStatus
    recording: Recording
    playback: Playback
    live: Live
    lease: Callable[[CameraId], HubLease]
    machine: Machine
    events: Events
    clock: Clock
    ready: Callable[[], bool] = lambda: True
    worker: str = "api-0"
    metrics: Sequence[MetricSource] = ()
    verifier: Verifier | None = None
    thumbnails: Thumbnails | None = None
    exports: ExportJobs | None = None
    coverage: CoverageSource | None = None
    tell_event: TellEvent | None = None
    locks: Locks | None = None
    bookmarks: Bookmarks | None = None
    volumes: Volumes | None = None
    site: Site = Site()
    retention_classes: Collection[str] | None = None
    ice_servers: Callable[[], Sequence[IceServer]] = tuple
    publishing: Publishing | None = None
    live_options: LiveOptions | None = None
