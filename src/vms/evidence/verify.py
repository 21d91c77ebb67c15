"""Verifying what one names: a recording, an export, an archive, or a directory of them. Offline, without a database.

Belongs here: telling them apart, directories, progress. Does not: each kind (recording_check, clip_check, archive,
links), where files come from (vms.commands.verify), keys (trust).
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from vms.common.errors import VmsError
from vms.evidence.clip_check import check_clip
from vms.evidence.clip_file import find_clip, top_boxes
from vms.evidence.compare import Progress
from vms.evidence.errors import NotEvidence
from vms.evidence.links import check_links
from vms.evidence.names import check_name
from vms.evidence.recording_check import check_recording
from vms.evidence.report import FileReport, Report, merged
from vms.evidence.trust import Trust
from vms.format.errors import FormatError
from vms.format.hybrid import ReadAt, read_segment
from vms.format.hybrid.integrity import beginning_digest, chain, read_digest, split_digests

OpenFile = Callable[[Path], AbstractContextManager[tuple[ReadAt, int]]]
"""Opens a file: what reads it, and its size. Raises OSError and VmsError, on opening and on reading."""


@contextmanager
def open_plain(path: Path) -> Iterator[tuple[ReadAt, int]]:
    """A file as it lies on the disk. Raises OSError."""
    with path.open("rb") as file:
        descriptor = file.fileno()
        yield lambda offset, size: os.pread(descriptor, size, offset), os.fstat(descriptor).st_size


@dataclass(frozen=True, slots=True)
class Watch:
    """Who is told how verification goes on: of each file before it is begun, and of bytes as they are done."""

    file: Callable[[str, int], None] = lambda _name, _size: None
    done: Progress = lambda _bytes: None


_UNWATCHED = Watch()


def verify_file(name: str, read_at: ReadAt, size: int, trust: Trust, watch: Watch = _UNWATCHED) -> FileReport:
    """A recording or an export of `size` bytes. What cannot be read is said in the report's `error`.

    Raises what `read_at` raises.
    """
    watch.file(name, size)
    clip = find_clip(read_at, size)
    if clip is not None:
        sources, findings, notes = check_clip(read_at, clip, trust, watch.done)
        return FileReport(name, "export", size, sources, findings, notes)
    try:
        source = check_recording(read_at, size, trust, watch.done)
    except (NotEvidence, FormatError) as error:
        return _no_recording(name, read_at, size, error)
    return FileReport(name, "recording", size, [source])


@dataclass(frozen=True, slots=True)
class Named:
    """A file to verify. place: of those that were named, the one that it lies in."""

    name: str
    path: Path
    place: Path


def verify_paths(
    paths: Iterable[Named],
    trust: Trust,
    open_file: OpenFile = open_plain,
    watch: Watch = _UNWATCHED,
) -> list[FileReport]:
    """Files, and how the recordings among them hang together. Fragments are `merged`."""
    files: list[FileReport] = []
    where: dict[str, Named] = {}
    for named in paths:
        name, path = named.name, named.path
        where[name] = named
        file = _verify_path(name, path, trust, open_file, watch)
        misnamed = check_name(path, file.sources[0]) if file.kind == "recording" else None
        if misnamed is not None:
            file.findings = [*file.findings, misnamed]
        # A volume has millions of fragments
        file.sources = [replace(each, fragments=merged(each.fragments)) for each in file.sources]
        files.append(file)

    def prefixes(file: FileReport) -> Sequence[bytes]:
        try:
            with open_file(where[file.name].path) as (read_at, size):
                return _prefixes(read_at, size)
        except (OSError, VmsError):
            return ()

    check_links(files, prefixes, lambda file: where[file.name].place)
    return files


def verify_directory(
    root: Path, trust: Trust, open_file: OpenFile = open_plain, watch: Watch = _UNWATCHED
) -> Report:
    """Every MP4 below `root`, and the chain across the recordings. Raises NotEvidence when there is none."""
    named = [Named(str(path.relative_to(root)), path, root) for path in _recordings_in(root)]
    if not named:
        raise NotEvidence(_nothing_in(root))
    return Report(verify_paths(named, trust, open_file, watch))


def verify_together(
    roots: Sequence[Path], trust: Trust, open_file: OpenFile = open_plain, watch: Watch = _UNWATCHED
) -> Report:
    """Files, and directories as `verify_directory` takes them: the volumes and tiers of a system, over which its chains lead.

    What is named twice, as a directory and one in it, is verified once. Raises NotEvidence when there is nothing in any.
    """
    named: dict[Path, Named] = {}
    empty = []
    for root in roots:
        paths = _recordings_in(root) if root.is_dir() else [root]
        if not paths:
            empty.append(_nothing_in(root))
        for path in paths:
            named.setdefault(path.resolve(), Named(str(path), path, root))
    if not named:
        raise NotEvidence("; ".join(empty))
    return Report(verify_paths(named.values(), trust, open_file, watch), notes=empty)


def _recordings_in(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*.mp4") if path.is_file())


def _nothing_in(root: Path) -> str:
    return f"{root}: no recording and no export (*.mp4) is in it"


def _prefixes(read_at: ReadAt, size: int) -> list[bytes]:
    """The chain digests of a recording up to each of its fragments: as listed, or, where nothing lists them, as it is."""
    segment = read_segment(read_at, size)
    if segment.proof is not None:
        digest, leaves = segment.proof.statement.start_digest, split_digests(segment.proof.digests)
    else:
        digest = beginning_digest(read_at(0, sum(segment.init)))
        leaves = [read_digest(read_at, each.offset, each.size) for each in segment.fragments]
    digests = []
    for leaf in leaves:
        digest = chain(digest, [leaf])
        digests.append(digest)
    return digests


def _verify_path(name: str, path: Path, trust: Trust, open_file: OpenFile, watch: Watch) -> FileReport:
    try:
        with open_file(path) as (read_at, size):
            return verify_file(name, read_at, size, trust, watch)
    except OSError as error:
        return FileReport(name, "unknown", error=f"it cannot be read: {error.strerror or error}")
    except VmsError as error:
        return FileReport(name, "unknown", error=str(error))


def _no_recording(name: str, read_at: ReadAt, size: int, error: VmsError) -> FileReport:
    kinds = {header.kind for _, header in top_boxes(read_at, size)}
    if {b"moov", b"mdat"} <= kinds:
        finding = "it is an MP4 without evidence: nothing in it can be held against what was recorded"
        return FileReport(name, "unknown", size, notes=[finding])
    return FileReport(name, "unknown", size, error=str(error))
