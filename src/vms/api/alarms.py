"""What a person has to look at: cameras that should be recorded and are not, volumes and tiers that cannot be used.

Belongs here: from states to alarms, since when they are so, their metrics. Does not: the states (ports), telling
anybody by other ways than being asked.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from vms.api.camera_view import recording_state
from vms.api.ports import Ports, RegisteredCamera
from vms.api.volume_ports import VolumeStatus
from vms.common.clock import NS
from vms.common.errors import NotFound, Unavailable, VmsError
from vms.telemetry.logs import get_logger
from vms.telemetry.metrics import MetricFamily, MetricKind

log = get_logger(__name__)

FRESH_NS = 2 * NS
LOOK_S = 5.0
PATIENCE_NS = 15 * NS
"""A camera that loses its connection for a moment is no alarm."""

Severity = Literal["warning", "critical"]

_VOLUME_ALARMS: dict[str, tuple[Severity, str]] = {
    "volume_failed": ("critical", "cannot be used"),
    "full": ("critical", "its disk is full; make room on it"),
    "full_of_protected": (
        "critical",
        "is full of footage that evidence locks or minimum retention keep; add room, or release or shorten them",
    ),
    "stalled": (
        "critical",
        "its disk does not take what is recorded; new recordings go to other volumes, where there are any",
    ),
    "read_only": ("critical", "takes no more writes; check the disk and its file system"),
    "tier_unreachable": (
        "warning",
        "a tier cannot be reached, so recordings wait to be moved; check its path or server",
    ),
    "tier_full": ("warning", "a tier is full, so recordings stay where they are; give it a larger quota"),
    "locks_unreadable": (
        "critical",
        "its evidence locks cannot be read, so nothing is deleted there; the log says which file is damaged",
    ),
    "locks_unnamed": (
        "warning",
        "it obeys evidence locks that the database does not know; was that restored from an older backup?",
    ),
    "keeper_away": ("critical", "its keeper does not answer, so nothing is deleted there and nothing moved"),
}
_UNKNOWN: tuple[Severity, str] = ("warning", "needs somebody to look at it")


@dataclass(frozen=True, slots=True)
class Alarm:
    """Two with the same fields are the same alarm, whatever is said of it."""

    slug: str
    severity: Severity
    camera_id: str | None = None
    volume: str | None = None


@dataclass(frozen=True, slots=True)
class RaisedAlarm:
    """since_ns: when this process saw it first, Unix ns."""

    alarm: Alarm
    text: str
    since_ns: int


class AlarmBoard:
    """The alarms of the system, as this process sees them. `look` brings them up to date."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._lock = asyncio.Lock()
        self._looked_ns: int | None = None
        self._seen: dict[Alarm, tuple[int, str]] = {}  # since, text
        self._looking: asyncio.Task[None] | None = None
        self.failures = 0

    async def start(self) -> None:
        """Look every few seconds, so that metrics are right and ages are known."""
        self._looking = asyncio.create_task(self._keep_looking(), name="alarms")

    async def stop(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._looking
            self._looking = None

    async def alarms(self) -> Sequence[RaisedAlarm]:
        """What is wrong now, at most two seconds old: the critical first, then the oldest."""
        now_ns = self._ports.clock.monotonic_ns()
        if self._looked_ns is None or now_ns - self._looked_ns >= FRESH_NS:
            await self.look()
        return self.raised

    @property
    def raised(self) -> Sequence[RaisedAlarm]:
        """As of the last look."""
        now_ns = self._ports.clock.wall_ns()
        shown = [
            RaisedAlarm(alarm, text, since_ns)
            for alarm, (since_ns, text) in self._seen.items()
            if alarm.camera_id is None or now_ns - since_ns >= PATIENCE_NS
        ]
        return sorted(shown, key=lambda each: (each.alarm.severity != "critical", each.since_ns))

    async def look(self) -> None:
        """See what is wrong now."""
        async with self._lock:
            found: dict[Alarm, str] = {}
            try:
                for entry in await self._ports.registry.list():
                    found.update(self._of_camera(entry))
            except Unavailable as error:
                found[Alarm("cameras_unknown", "warning")] = str(error)
            if self._ports.volumes is not None:
                for volume in await self._ports.volumes.volumes():
                    found.update(_of_volume(volume))
            now_ns = self._ports.clock.wall_ns()
            before = self._seen
            self._seen = {
                alarm: (before[alarm][0] if alarm in before else now_ns, text)
                for alarm, text in found.items()
            }
            self._looked_ns = self._ports.clock.monotonic_ns()

    def metrics(self) -> Iterable[MetricFamily]:
        counts: Counter[tuple[str, str]] = Counter(
            (raised.alarm.slug, raised.alarm.severity) for raised in self.raised
        )
        yield MetricFamily(
            "vms_alarms",
            MetricKind.GAUGE,
            "what a person has to look at now, as GET /api/v1/alarms shows it",
            ("slug", "severity"),
            [(key, float(count)) for key, count in sorted(counts.items())],
        )

    def _of_camera(self, entry: RegisteredCamera) -> Iterator[tuple[Alarm, str]]:
        camera, recording = entry.camera, self._ports.recording
        error = recording.recording_error(camera.id)
        if error is None and recording_state(camera, recording) != "failed":
            return
        if error is None:
            try:
                status = self._ports.live_status.status(camera.id)
                error = status.reason or f"the camera is {status.state}"
            except NotFound:
                error = "the camera is not being pulled"
        yield Alarm("camera_not_recorded", "critical", camera_id=camera.id), f"{camera.name}: {error}"

    async def _keep_looking(self) -> None:
        while True:
            try:
                await self.look()
            except VmsError as error:
                log.warning("alarms cannot be looked for now", reason=str(error))
            except Exception as error:
                self.failures += 1
                log.error("looking for alarms failed; it goes on", exc_info=error)
            await asyncio.sleep(LOOK_S)


def _of_volume(volume: VolumeStatus) -> Iterator[tuple[Alarm, str]]:
    slugs = list(volume.alarms)
    if not slugs and volume.state not in ("ok", "starting"):
        slugs = [f"volume_{volume.state}" if volume.state == "failed" else volume.state]
    for slug in slugs:
        severity, meaning = _VOLUME_ALARMS.get(slug, _UNKNOWN)
        tiers = [f"{tier.name}: {tier.error}" for tier in volume.tiers if tier.error]
        causes = tiers if slug.startswith("tier_") else [volume.error] if volume.error else []
        yield Alarm(slug, severity, volume=volume.path), f"{volume.path}: {'; '.join([meaning, *causes])}"
