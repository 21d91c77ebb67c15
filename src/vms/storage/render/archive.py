"""An export of several clips as one ZIP: clips, a signed manifest of them, certificates, a player, how to verify.

Stored without compression: video does not shrink, and clips can be read in place. ZIP64 where it is large.

Belongs here: what is in the archive, and checking that the disk has it. Does not: clips (clip, burn_in), the player's
page (player), signing (vms.evidence).
"""

import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from vms.common.clock import NS, rfc3339
from vms.common.ids import CameraId
from vms.evidence.manifest import ManifestFile
from vms.format.errors import FormatError
from vms.storage.body import Body
from vms.storage.render.clip import missing
from vms.storage.render.errors import ExportDamaged
from vms.storage.render.evidence import Evidence, manifest_files
from vms.storage.render.export_files import READ_BYTES, ReadFile, WrittenFile
from vms.storage.render.player import player_page
from vms.storage.render.progress import Progress
from vms.storage.render.readme import readme_text
from vms.storage.render.room import Room
from vms.storage.render.values import ExportOrder

if TYPE_CHECKING:
    from vms.storage.render.making import Clip

PLAYER_NAME, README_NAME = "player.html", "README.txt"
_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}
"""No file can be unpacked under such a name on Windows, whatever its suffix."""


def clip_name(camera_id: CameraId) -> str:
    """Of a camera's clip in an archive: another one for each camera, and a name on every system."""
    stem = f"{camera_id}_" if camera_id in _DEVICES else camera_id  # no camera id has a _
    return f"clips/{stem}.mp4"


class Archive:
    """A ZIP being written. All methods block, in one thread at a time."""

    def __init__(self, file: WrittenFile, order: ExportOrder, evidence: Evidence, now_ns: int) -> None:
        """file: empty, and its own from now on."""
        self._file = file
        self._order = order
        self._evidence = evidence
        self._now_ns = now_ns
        self._date = datetime.fromtimestamp(now_ns // NS, UTC).timetuple()[:6]
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True)
        self._listed: dict[str, tuple[int, str]] = {}

    def add(self, name: str, source: Body, progress: Progress, room: Room) -> None:
        """Put a file into it. Raises Stopped, NoRoomForExport, OSError, FormatError."""
        digest, size = hashlib.sha256(), 0
        with self._zip.open(self._entry(name), "w", force_zip64=True) as member:
            while data := source.read_at(size, READ_BYTES):
                progress.check()
                room.check(len(data))
                member.write(data)
                digest.update(data)
                size += len(data)
        self._listed[name] = size, digest.hexdigest()

    def finish(self, clips: "Sequence[Clip]", *, exact: bool) -> Mapping[str, tuple[int, str]]:
        """Write what describes the clips, the manifest last; size and SHA-256 of all that is in it, by name."""
        for clip in clips:
            if clip.name is not None and self._listed[clip.name] != (clip.size_bytes, clip.sha256):
                raise ExportDamaged(
                    f"the clip of {clip.camera_id} changed while it was packed; check the disk of data_dir"
                )
        facts = self._facts(clips, exact)
        self._add_text(README_NAME, readme_text(facts))
        self._add_text(PLAYER_NAME, player_page(facts))
        details = {key: value for key, value in facts.items() if key not in {"title", "made_at", "node"}}
        files = [self._manifest_file(name, clips) for name in self._listed]
        manifest = manifest_files(self._evidence, files, self._now_ns, self._order.title, details)
        for name, data in manifest.items():
            self._add_bytes(name, data)
        self._zip.close()
        self._file.finish()
        return self._listed

    def abandon(self) -> None:
        """Let go of the file as it is; harmless when it is finished."""
        self._file.throw_away()
        self._zip.close()  # which would write to it otherwise, some day

    # -- private ----------------------------------------------------------------------------------------

    def _entry(self, name: str) -> zipfile.ZipInfo:
        entry = zipfile.ZipInfo(name, date_time=self._date)
        entry.external_attr = 0o644 << 16
        return entry

    def _add_text(self, name: str, text: str) -> None:
        self._add_bytes(name, text.encode())

    def _add_bytes(self, name: str, data: bytes) -> None:
        self._zip.writestr(self._entry(name), data)
        self._listed[name] = len(data), hashlib.sha256(data).hexdigest()

    def _manifest_file(self, name: str, clips: "Sequence[Clip]") -> ManifestFile:
        size, sha256 = self._listed[name]
        clip = next((each for each in clips if each.name == name), None)
        if clip is None:
            return ManifestFile(name, size, sha256)
        start_ns, end_ns = clip.pieces[0].start_ns, clip.pieces[-1].end_ns
        return ManifestFile(name, size, sha256, clip.camera_id, start_ns, end_ns, exact=not clip.burnt)

    def _facts(self, clips: "Sequence[Clip]", exact: bool) -> dict[str, object]:
        order = self._order
        burnt = {"time_zone": order.burn_in} if order.burn_in is not None else None
        return {
            "title": order.title,
            "note": order.note,
            "asked_by": order.asked_by,
            "made_at": rfc3339(self._now_ns),
            "node": self._evidence.signer.node if self._evidence.signer else self._evidence.node,
            "start": rfc3339(order.start_ns),
            "end": rfc3339(order.end_ns),
            "exact": exact,
            "burn_in": burnt,
            "cameras": [self._camera(clip) for clip in clips],
        }

    def _camera(self, clip: "Clip") -> dict[str, object]:
        return {
            "id": clip.camera_id,
            "name": self._order.names.get(clip.camera_id, clip.camera_id),
            "file": clip.name,
            "nothing_recorded": clip.nothing or None,
            "verified": clip.verified,
            "damaged_pictures": clip.damaged,
            "pieces": [
                {
                    "clip_ms": round(piece.clip_s * 1000),
                    "start": rfc3339(piece.start_ns),
                    "end": rfc3339(piece.end_ns),
                }
                for piece in clip.pieces
            ],
            "gaps": missing(clip.gaps, self._order.end_ns),
        }


def check_archive(name: str, body: Body, listed: Mapping[str, tuple[int, str]], progress: Progress) -> None:
    """Whether the disk has what was written. Raises ExportDamaged, Stopped, OSError."""
    try:
        with zipfile.ZipFile(ReadFile(body)) as archive:
            for member_name, expected in listed.items():
                digest, size = hashlib.sha256(), 0
                with archive.open(member_name) as member:
                    while data := member.read(READ_BYTES):
                        progress.check()
                        digest.update(data)
                        size += len(data)
                if (size, digest.hexdigest()) != expected:
                    raise ExportDamaged(
                        f"{member_name} is not in {name} as it was written; check the disk of data_dir"
                    )
    except (zipfile.BadZipFile, KeyError, FormatError) as error:
        raise ExportDamaged(f"{name} cannot be read back: {error}; check the disk of data_dir") from error
