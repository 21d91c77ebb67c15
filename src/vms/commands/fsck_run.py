"""Runs ``vms fsck``: from a configuration to findings on the screen.

Belongs here: opening volumes, words, exit codes. Does not: checking and repairing (vms.storage.fsck, fsck_repair).
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from rich.console import Console
from rich.markup import escape

from vms.common.clock import SystemClock
from vms.common.errors import InvalidInput, VmsError
from vms.common.secrets import KEY_NAME, load_key
from vms.config import Config, VolumeConfig, load_config
from vms.evidence.keys import open_signer
from vms.evidence.trust import Trust
from vms.storage.errors import VolumeUnavailable
from vms.storage.findings import Finding, Level
from vms.storage.fsck import VolumeChecker, open_catalog
from vms.storage.fsck_digests import DigestJudge
from vms.storage.fsck_files import Contents
from vms.storage.fsck_repair import VolumeRepairer
from vms.storage.identity import KnownVolumes, read_identity
from vms.storage.kept_volume import KeptVolume
from vms.storage.keyring import load_keyring
from vms.storage.tiers import open_tiers
from vms.telemetry.logs import configure_logs

_PLACES_KNOWN = "volumes.json"
_SYSTEM_ID = "system-id"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asked for."""

    config: Path | None
    data_dir: Path | None
    volumes: tuple[Path, ...]
    level: str
    repair: bool


@dataclass(slots=True)
class Outcome:
    """Of one volume. error: why it could not be checked; "" when it was."""

    path: Path
    findings: list[tuple[Finding, bool]]
    error: str = ""
    files: int = 0
    bytes: int = 0

    @property
    def faults(self) -> int:
        """What is wrong, and was not put in order."""
        return sum(finding.is_fault and not repaired for finding, repaired in self.findings)


def run(asked: Asked, *, as_json: bool) -> int:
    """Check, print, and give the exit status. Raises ConfigError, InvalidInput."""
    configure_logs(json=False, level="critical", role="fsck", worker="fsck")  # findings say it
    config = load_config(asked.config, asked.data_dir)
    console = Console(stderr=True)
    outcomes = []
    for volume in _chosen(config, asked.volumes):
        outcome = Outcome(volume.path, [])
        outcomes.append(outcome)
        if not as_json:
            console.print(f"[bold]{escape(str(volume.path))}[/]", highlight=False)
        try:
            _check(config, volume, asked, outcome, None if as_json else console)
        except (VmsError, OSError) as error:
            outcome.error = str(error)
        if not as_json:
            _print_summary(console, outcome, repair=asked.repair)
    if as_json:
        Console(soft_wrap=True, highlight=False, markup=False).print(
            json.dumps(_document(outcomes), indent=2)
        )
    if any(outcome.error for outcome in outcomes):
        return 2
    return 1 if any(outcome.faults for outcome in outcomes) else 0


def _chosen(config: Config, wanted: tuple[Path, ...]) -> list[VolumeConfig]:
    known = {volume.path.absolute(): volume for volume in config.volumes()}
    if not wanted:
        return list(known.values())
    missing = [str(path) for path in wanted if path.absolute() not in known]
    if missing:
        raise InvalidInput(
            f"{', '.join(missing)}: no volume of this configuration; it has {', '.join(map(str, known))}"
        )
    return [known[path.absolute()] for path in wanted]


def _check(
    config: Config, volume: VolumeConfig, asked: Asked, outcome: Outcome, console: Console | None
) -> None:
    level = Level[asked.level.upper()]
    judge = DigestJudge(Trust.of_data_dir(config.data_dir)) if level is Level.DIGESTS else None
    path = volume.path.absolute()
    volume_id = read_identity(path)
    if volume_id is None:
        raise VolumeUnavailable(path, "there is no volume here; is its disk mounted?")
    contents = Contents(path, load_keyring(volume.encryption), open_tiers(volume, volume_id))
    try:
        task = _Task(contents, level, judge, outcome)
        found = _repaired(config, volume, task) if asked.repair else _looked_at(task)
        for finding, repaired in found:
            outcome.findings.append((finding, repaired))
            if console is not None:
                _print_finding(console, finding, repaired=repaired)
    finally:
        for tier in contents.tiers.values():
            tier.close()


@dataclass(frozen=True, slots=True)
class _Task:
    """One volume to be checked."""

    contents: Contents
    level: Level
    judge: DigestJudge | None
    outcome: Outcome

    def count(self, checker: VolumeChecker) -> None:
        self.outcome.files, self.outcome.bytes = checker.files, checker.bytes


def _looked_at(task: _Task) -> Iterator[tuple[Finding, bool]]:
    contents = task.contents
    catalog, wrong = open_catalog(contents.volume)
    try:
        if wrong is not None:
            yield wrong, False
        checker = VolumeChecker(contents, catalog, level=task.level, judge=task.judge)
        yield from ((finding, False) for finding in checker.check())
        task.count(checker)
    finally:
        if catalog is not None:
            catalog.close()


def _repaired(config: Config, volume: VolumeConfig, task: _Task) -> Iterator[tuple[Finding, bool]]:
    contents = task.contents
    catalog, wrong = open_catalog(contents.volume)
    if catalog is not None:
        catalog.close()
    with _kept(config, volume) as kept:
        if wrong is not None:
            yield wrong, True  # it was made when the volume was opened, and is filled now
        repairer = VolumeRepairer(kept, contents, level=task.level, judge=task.judge)
        try:
            yield from repairer.repair()
            task.count(repairer.checker)
        finally:
            repairer.close()


@contextmanager
def _kept(config: Config, volume: VolumeConfig) -> Iterator[KeptVolume]:
    """The volume as its keeper has it. Raises VolumeUnavailable, also when the system runs."""
    system_id = (config.data_dir / _SYSTEM_ID).read_text().strip()
    kept = KeptVolume(volume, SystemClock(), KnownVolumes(config.data_dir / _PLACES_KNOWN), system_id)
    with suppress(VmsError, OSError):  # what is repaired then stays unsigned, which the next check says
        kept.signer = open_signer(config.data_dir, load_key(config.data_dir / KEY_NAME))
    try:
        kept.open()
    except VolumeUnavailable as error:
        raise VolumeUnavailable(
            volume.path,
            f"{error.reason}. Stop the system before a repair; while it runs, its keeper repairs by itself",
        ) from error
    try:
        yield kept
    finally:
        kept.close()


# -- words ------------------------------------------------------------------------------------------------


def _print_finding(console: Console, finding: Finding, *, repaired: bool) -> None:
    mark = (
        "[green]repaired[/]" if repaired else "[red]wrong[/]   " if finding.is_fault else "[dim]note[/]    "
    )
    where = f"{finding.tier}: {finding.name}" if finding.tier else finding.name
    kind = finding.kind.value.replace("_", " ")
    console.print(
        f"  {mark} {escape(where)}: {kind}: {escape(finding.detail)}", highlight=False, soft_wrap=True
    )


def _print_summary(console: Console, outcome: Outcome, *, repair: bool) -> None:
    if outcome.error:
        console.print(f"  [bold red]not checked:[/] {escape(outcome.error)}", highlight=False, soft_wrap=True)
        return
    looked = (
        f"; {outcome.files} recordings of {outcome.bytes / 1e9:.1f} GB looked into" if outcome.files else ""
    )
    repaired = sum(done for _, done in outcome.findings)
    if outcome.faults:
        advice = "" if repair else "; --repair puts in order what can be"
        text = f"  [bold red]{outcome.faults} wrong[/], {repaired} repaired{looked}{advice}"
    else:
        text = f"  [bold green]nothing is wrong[/], {repaired} repaired{looked}"
    console.print(text, highlight=False, soft_wrap=True)


def _document(outcomes: Iterable[Outcome]) -> dict[str, Any]:
    return {
        "volumes": [
            {
                "path": str(outcome.path),
                "error": outcome.error or None,
                "faults": outcome.faults,
                "files": outcome.files,
                "bytes": outcome.bytes,
                "findings": [_finding(finding, repaired) for finding, repaired in outcome.findings],
            }
            for outcome in outcomes
        ]
    }


def _finding(finding: Finding, repaired: bool) -> dict[str, Any]:
    segment_id: UUID | None = finding.segment_id
    return {
        "kind": finding.kind.value,
        "fault": finding.is_fault,
        "repaired": repaired,
        "name": finding.name,
        "tier": finding.tier or None,
        "segment_id": str(segment_id) if segment_id else None,
        "detail": finding.detail,
    }
