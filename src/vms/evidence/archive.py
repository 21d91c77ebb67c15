"""Verifying an archive: a ZIP file, or the directory that it was unpacked to, with a signed manifest.

Every file is held against its digest in the manifest, and clips are verified by themselves as well.

Belongs here: archives. Does not: manifests as such (manifest), clips (clip_check).
"""

import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import Lock

from vms.evidence.errors import NotEvidence
from vms.evidence.manifest import (
    CERTIFICATES_NAME,
    MANIFEST_NAME,
    MANIFEST_NAMES,
    MAX_MANIFEST_BYTES,
    SIGNATURE_NAME,
    Manifest,
    ManifestFile,
    SignedManifest,
    judge_manifest,
    parse_manifest,
)
from vms.evidence.report import FileReport, Report
from vms.evidence.trust import SignatureState, Trust
from vms.evidence.verify import Watch, open_plain, verify_file
from vms.evidence.zip_layout import LOCAL_MARK, strange_bytes
from vms.format.hybrid import ReadAt
from vms.format.hybrid.integrity import read_digest

_LOCAL_HEADER_BYTES = 30  # then name and extra field, whose lengths stand at 26 and 28 (APPNOTE 4.3.7)
_ENCRYPTED = 1

_Open = Callable[[str], AbstractContextManager[tuple[ReadAt, int]]]


def is_archive(path: Path) -> bool:
    """Whether `path` is a ZIP file, or a directory with a manifest.

    A file with something before the ZIP file in it is none: players may show what stands there.
    """
    if path.is_dir():
        return (path / MANIFEST_NAME).is_file()
    with path.open("rb") as file:
        return file.read(len(LOCAL_MARK)) == LOCAL_MARK and zipfile.is_zipfile(file)


def verify_archive(path: Path, trust: Trust, watch: Watch | None = None) -> Report:
    """An archive and everything in it. Raises NotEvidence when it has no manifest, OSError when it cannot be read."""
    watch = watch or Watch()
    if path.is_dir():
        names = {str(each.relative_to(path)) for each in path.rglob("*") if each.is_file()}
        return _verify(names, [], lambda name: open_plain(path / name), trust, watch)
    try:
        with zipfile.ZipFile(path) as archive:
            listed = [each.filename for each in archive.infolist() if not each.is_dir()]
            twice = (
                sorted({name for name in listed if listed.count(name) > 1})
                if len(set(listed)) < len(listed)
                else []
            )
            report = _verify(set(listed), twice, lambda name: _open_member(archive, name), trust, watch)
            with open_plain(path) as (read_at, size):
                report.findings += strange_bytes(archive, read_at, size)
            return report
    except (zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise NotEvidence(f"{path}: the ZIP file is damaged: {error}") from error


def _verify(names: set[str], twice: list[str], open_file: _Open, trust: Trust, watch: Watch) -> Report:
    report = Report(findings=[f"{name} stands in it twice" for name in twice])
    signed = _read_manifest(names, open_file)
    manifest = parse_manifest(signed.document)
    report.signature = judge_manifest(signed, manifest, trust)
    vouched = report.signature.state is SignatureState.TRUSTED
    for file in manifest.files:
        if file.name in names:
            report.files.append(_verify_member(file, open_file, trust, watch, vouched=vouched))
        else:
            report.files.append(FileReport(file.name, "unknown", findings=["it is missing"]))
    strange = names - {file.name for file in manifest.files} - set(MANIFEST_NAMES)
    report.findings += [f"{name} is not in the manifest" for name in sorted(strange)]
    report.notes += _notes(manifest)
    return report


def _verify_member(
    file: ManifestFile, open_file: _Open, trust: Trust, watch: Watch, *, vouched: bool
) -> FileReport:
    try:
        with open_file(file.name) as (read_at, size):
            right = size == file.size and read_digest(read_at, 0, size).hex() == file.sha256
            if file.camera_id is None:
                watch.file(file.name, size)
                found = FileReport(file.name, "file", size)
            else:
                found = verify_file(file.name, read_at, size, trust, watch)
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        return FileReport(file.name, "unknown", error=f"it cannot be read: {error}")
    found.vouched = right and vouched
    findings = list(found.findings)
    if not right:
        findings.append("it is not the file that the manifest names: its SHA-256 is another")
    if file.camera_id is not None and not file.exact:
        found.notes = [*found.notes, "made anew for the archive: signed as exported, not as recorded"]
    found.findings = findings
    return found


def _read_manifest(names: set[str], open_file: _Open) -> SignedManifest:
    if MANIFEST_NAME not in names:
        raise NotEvidence(f"the archive holds no {MANIFEST_NAME}: it is not one of ours")
    parts = []
    for name in (MANIFEST_NAME, SIGNATURE_NAME, CERTIFICATES_NAME):
        if name not in names:
            parts.append(b"")
            continue
        with open_file(name) as (read_at, size):
            if size > MAX_MANIFEST_BYTES:
                raise NotEvidence(f"{name} has {size} bytes: that is no manifest")
            parts.append(read_at(0, size))
    return SignedManifest(*parts)


def _notes(manifest: Manifest) -> list[str]:
    details: Mapping[str, object] = manifest.details
    return [f"{key}: {value}" for key, value in sorted(details.items()) if isinstance(value, (str, int))]


@contextmanager
def _open_member(archive: zipfile.ZipFile, name: str) -> Iterator[tuple[ReadAt, int]]:
    member = archive.getinfo(name)
    size, lock = member.file_size, Lock()
    if member.compress_type == zipfile.ZIP_STORED and archive.filename and not member.flag_bits & _ENCRYPTED:
        # Read past zipfile: it would stop at the first wrong CRC, where we want to know what is wrong
        with open_plain(Path(archive.filename)) as (whole, end):
            header = whole(member.header_offset, _LOCAL_HEADER_BYTES)
            start = (
                member.header_offset
                + len(header)
                + sum(int.from_bytes(header[at : at + 2], "little") for at in (26, 28))
            )
            size = max(min(size, end - start), 0)
            yield lambda offset, many: whole(start + offset, min(many, max(size - offset, 0))), size
        return
    with archive.open(name) as file:

        def read_at(offset: int, many: int) -> bytes:
            with lock:
                file.seek(offset)
                return file.read(many)

        yield read_at, size
