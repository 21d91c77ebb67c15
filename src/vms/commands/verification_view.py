"""How ``vms verify`` shows what it found, and how far it is.

Belongs here: words and colours. Does not: what was found (vms.evidence).
"""

from collections import Counter
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from vms.common.clock import rfc3339
from vms.evidence.report import (
    BROKEN_LINKS,
    FileReport,
    FragmentResult,
    FragmentState,
    LinkState,
    Report,
    SourceReport,
    Verdict,
)
from vms.evidence.trust import Signature, SignatureState
from vms.evidence.verify import Watch

_LISTED = 20
_SAID = {
    Verdict.VERIFIED: "[bold green]VERIFIED[/]: everything is unchanged and signed by a trusted key",
    Verdict.CHANGED: "[bold red]NOT VERIFIED[/]: it is not as it was signed",
    Verdict.UNTRUSTED: "[bold yellow]NOT VERIFIED[/]: unchanged since it was signed, but the signature does not count",
    Verdict.INCOMPLETE: (
        "[bold yellow]NOT VERIFIED[/]: what is here is unchanged and signed by a trusted key, but recordings between "
        "others are missing (retention keeps footage of events longer; other volumes and tiers may have them: name them all)"
    ),
    Verdict.UNSIGNED: "[bold yellow]NOT VERIFIED[/]: it is not signed",
    Verdict.RECORDING: "[bold yellow]NOT VERIFIED[/]: it is not closed, so not signed yet",
    Verdict.UNREADABLE: "[bold red]NOT READ[/]: it could not be verified",
}
_MARKS = {
    Verdict.VERIFIED: "[green]✓[/]",
    Verdict.CHANGED: "[red]✗[/]",
    Verdict.UNREADABLE: "[red]![/]",
}
_QUIET_LINKS = (LinkState.FOLLOWS, LinkState.FIRST)


class ProgressView:
    """A bar on standard error, where that is a terminal."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("", total=None)
        self.watch = Watch(self._file, lambda done: self._progress.advance(self._task, done))

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def _file(self, name: str, size: int) -> None:
        self._progress.reset(self._task, description=escape(name), total=size)


def print_report(report: Report, console: Console | None = None) -> None:
    """What was found, for people, on standard output."""
    out = console or Console(highlight=False, soft_wrap=True)
    if report.signature is not None:
        out.print(f"manifest: {_signature(report.signature)}")
    alone = len(report.files) == 1
    for file in report.files:
        _print_file(out, file, alone=alone)
    for text in report.findings:
        out.print(f"[red]✗[/] {escape(text)}")
    for text in report.notes:
        out.print(f"  [dim]{escape(text)}[/]")
    if not alone:
        counts = Counter(file.verdict.value for file in report.files)
        out.print(
            ", ".join(f"{many} {name}" for name, many in counts.items()) + f" of {len(report.files)} files"
        )
    out.print(_SAID[report.verdict])


def _print_file(out: Console, file: FileReport, *, alone: bool) -> None:
    mark = _MARKS.get(file.verdict, "[yellow]?[/]")
    out.print(f"{mark} [bold]{escape(file.name)}[/]  {file.kind}")
    if file.error:
        out.print(f"    [red]{escape(file.error)}[/]")
    for source in file.sources:
        if alone or file.verdict is not Verdict.VERIFIED:
            _print_source(out, source)
    for text in file.findings:
        out.print(f"    [red]{escape(text)}[/]")
    for text in file.notes:
        out.print(f"    [dim]{escape(text)}[/]")
    if file.link is not None and (
        file.link not in _QUIET_LINKS or (file.link_detail and file.link is LinkState.FIRST)
    ):
        colour = "red" if file.link in {*BROKEN_LINKS, LinkState.MISSING} else "dim"
        out.print(f"    [{colour}]{file.link.value}: {escape(file.link_detail)}[/]")


def _print_source(out: Console, source: SourceReport) -> None:
    identity = source.identity
    if identity is not None:
        span = f"{_time(source.start_ns)} to {_time(source.end_ns)}"
        out.print(
            f"    {escape(identity.camera_id)}/{escape(identity.stream)}  {span}  recording {identity.segment_id}"
        )
    if (source.first, source.last) != (0, source.total):
        out.print(f"    holds fragments {source.first} to {source.last - 1} of {source.total}")
    out.print(f"    {_signature(source.signature)}")
    counts = ", ".join(f"{many} {state}" for state, many in source.count().items())
    out.print(f"    fragments: {counts or 'none'}")
    _print_fragments(out, source.fragments)
    for text in source.findings:
        out.print(f"    [red]{escape(text)}[/]")
    for text in source.notes:
        out.print(f"    [dim]{escape(text)}[/]")


def _print_fragments(out: Console, fragments: Iterable[FragmentResult]) -> None:
    quiet = (FragmentState.UNCHANGED, FragmentState.UNSIGNED)
    strange = [each for each in fragments if each.state not in quiet]
    for each in strange[:_LISTED]:
        last = f" to {each.index + each.many - 1}" if each.index is not None and each.many > 1 else ""
        name = (
            f"fragment {each.index}{last}"
            if each.index is not None
            else f"{each.size} bytes at {each.offset}"
        )
        when = f" ({_time(each.start_ns)})" if each.start_ns is not None else ""
        detail = f": {each.detail}" if each.detail else ""
        out.print(f"      [red]{name}{when} {each.state.value}{escape(detail)}[/]")
    if len(strange) > _LISTED:
        out.print(f"      and {len(strange) - _LISTED} more; --json lists all")


def _signature(signature: Signature) -> str:
    if signature.state is SignatureState.UNSIGNED:
        return "[yellow]not signed[/]"
    colour = {SignatureState.TRUSTED: "green", SignatureState.BAD: "red"}.get(signature.state, "yellow")
    by = f" by {escape(signature.node)}, key {signature.fingerprint}" if signature.fingerprint else ""
    above = f" under {signature.authority}" if signature.authority != signature.fingerprint and by else ""
    at = f", {_time(signature.signed_ns)}" if signature.signed_ns is not None else ""
    text = f"signature [{colour}]{signature.state.value}[/]{by}{above}{at}"
    return f"{text}\n    [{colour}]{escape(signature.detail)}[/]" if signature.detail else text


def _time(at_ns: int | None) -> str:
    if at_ns is None:
        return "?"
    try:
        return rfc3339(at_ns)
    except (ValueError, OverflowError):
        return f"{at_ns} ns"
