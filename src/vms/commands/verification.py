"""What ``vms verify`` does: find out whom to trust, open what was named, verify it, print what was found.

Belongs here: where files and keys come from. Does not: verifying (vms.evidence), how it looks (verification_view).
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import typer

from vms.commands.verification_view import ProgressView, print_report
from vms.common.errors import VmsError
from vms.config import KeySource, load_config
from vms.evidence.archive import is_archive, verify_archive
from vms.evidence.errors import NotEvidence
from vms.evidence.remote import is_url, open_url, safe_url
from vms.evidence.report import FileReport, Report, report_json
from vms.evidence.trust import Trust
from vms.evidence.verify import (
    Named,
    OpenFile,
    Watch,
    verify_directory,
    verify_file,
    verify_paths,
    verify_together,
)
from vms.format.errors import FormatError
from vms.format.hybrid import ReadAt
from vms.storage.bodies import open_body
from vms.storage.keyring import Keyring, key_id, load_key, load_keyring

_TOKEN_VARIABLE = "VMS_TOKEN"  # noqa: S105 - its name
_SMALLEST_READ = 4096


@dataclass(frozen=True, slots=True)
class Asked:
    """The command's arguments."""

    targets: tuple[str, ...]
    keys: tuple[Path, ...] = ()
    config: Path | None = None
    data_dir: Path | None = None
    volume_keys: tuple[Path, ...] = ()


def verify_target(asked: Asked, *, as_json: bool) -> int:
    """Verify, print, and give the exit code: 0 verified, 1 not, 2 not read."""
    try:
        trust = _trust(asked)
        keyring = _keyring(asked)
        with nullcontext() if as_json else ProgressView() as view:
            report = _report(asked.targets, trust, keyring, view.watch if view is not None else Watch())
    except (VmsError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        shown = ", ".join(_shown(target) for target in asked.targets)
        report = Report([FileReport(shown, "unknown", error=str(reason))])
    if as_json:
        typer.echo(json.dumps(report_json(report), indent=2))
    else:
        print_report(report)
    return report.exit_code


def _report(targets: Sequence[str], trust: Trust, keyring: Keyring, watch: Watch) -> Report:
    if len(targets) > 1:
        return verify_together([_beside_others(each) for each in targets], trust, _opener(keyring), watch)
    (target,) = targets
    if is_url(target):
        with open_url(target, os.environ.get(_TOKEN_VARIABLE)) as (read_at, size):
            return Report([verify_file(safe_url(target), read_at, size, trust, watch)])
    path = _existing(target)
    if is_archive(path):
        return verify_archive(path, trust, watch)
    open_file = _opener(keyring)
    if path.is_dir():
        return verify_directory(path, trust, open_file, watch)
    (file,) = verify_paths([Named(str(path), path, path)], trust, open_file, watch)
    file.link = None  # alone it hangs on nothing
    return Report([file])


def _existing(target: str) -> Path:
    path = Path(target)
    if not path.exists():
        raise NotEvidence(f"{path}: No such file or directory")
    return path


def _beside_others(target: str) -> Path:
    """Raises NotEvidence for what has nothing to do with other files."""
    if is_url(target) or is_archive(_existing(target)):
        raise NotEvidence(f"{_shown(target)}: a URL or an archive is verified alone; name nothing beside it")
    return Path(target)


def _trust(asked: Asked) -> Trust:
    if asked.keys:
        return Trust.of_files(asked.keys)
    return Trust.of_data_dir(load_config(asked.config, asked.data_dir).data_dir)


def _keyring(asked: Asked) -> Keyring:
    keys = {key_id(key): key for key in (load_key(KeySource(key_file=file)) for file in asked.volume_keys)}
    if asked.config is not None:
        for volume in load_config(asked.config).volumes():
            keys |= load_keyring(volume.encryption).keys
    return Keyring(keys)


def _opener(keyring: Keyring) -> OpenFile:
    @contextmanager
    def open_file(path: Path) -> Iterator[tuple[ReadAt, int]]:
        body = open_body(os.open(path, os.O_RDONLY | os.O_CLOEXEC), keyring)
        try:
            yield lambda offset, size: _read(body.read_at, offset, size), body.size_bytes
        finally:
            body.close()

    return open_file


def _read(read_at: ReadAt, offset: int, size: int) -> bytes:
    """Encrypted bytes that were changed cannot be read; they count as zeros, so that the rest is verified."""
    try:
        return read_at(offset, size)
    except FormatError:
        if size <= _SMALLEST_READ:
            return bytes(size)
        half = size // 2
        return _read(read_at, offset, half) + _read(read_at, offset + half, size - half)


def _shown(target: str) -> str:
    return safe_url(target) if is_url(target) else target
