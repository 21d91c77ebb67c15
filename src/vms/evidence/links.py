"""How recordings that are verified together hang together: each names the one before it.

Belongs here: the chain across files. Does not: single files (recording_check).
"""

from collections import ChainMap, defaultdict
from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from vms.evidence.report import FileReport, LinkState, SourceReport
from vms.evidence.trust import SignatureState

Prefixes = Callable[[FileReport], Sequence[bytes]]
"""Gives the chain digests of a recording up to each of its fragments."""
Place = Callable[[FileReport], object]
"""Which of the places that were named a file lies in."""
_SPEAKING = frozenset({SignatureState.TRUSTED, SignatureState.UNTRUSTED, SignatureState.EXPIRED})


def check_links(files: Sequence[FileReport], prefixes: Prefixes, place: Place = lambda _file: None) -> None:
    """Set `link` and `link_detail` of every recording among `files`.

    prefixes: asked only where a predecessor ends otherwise than was named: it was still being written then.
    place: two volumes may have the same recording, while it is moved; in one it would stand twice.
    """
    groups: defaultdict[tuple[str, str], list[FileReport]] = defaultdict(list)
    unsigned: dict[UUID, FileReport] = {}
    for file in files:
        source = _source(file)
        if source is None:
            continue
        if source.signature.state in _SPEAKING and source.identity is not None:
            groups[source.identity.camera_id, source.identity.stream].append(file)
        else:
            file.link, file.link_detail = LinkState.UNSIGNED, "nothing signed says what it follows"
            if source.identity is not None:
                unsigned.setdefault(source.identity.segment_id, file)
    for group in groups.values():
        _check_group(sorted(group, key=_start), unsigned, prefixes, place)


def _check_group(
    group: Sequence[FileReport], unsigned: dict[UUID, FileReport], prefixes: Prefixes, place: Place
) -> None:
    by_id: dict[UUID, FileReport] = {}
    originals = []
    for file in group:
        source = _required(file)
        assert source.identity is not None, "grouped by it"
        first = by_id.setdefault(source.identity.segment_id, file)
        if first is file:
            originals.append(file)
        elif _required(first).chain_digest == source.chain_digest:
            file.link = LinkState.DUPLICATE if place(first) == place(file) else LinkState.COPY
            file.link_detail = f"the same recording as {first.name}"
        else:
            file.link = LinkState.CONFLICTING
            file.link_detail = f"says that it is the same recording as {first.name}, and differs"
    present = ChainMap(by_id, unsigned)
    for index, file in enumerate(originals):
        file.link, file.link_detail = _link(file, present, prefixes, oldest=index == 0)


def _link(
    file: FileReport, by_id: Mapping[UUID, FileReport], prefixes: Prefixes, *, oldest: bool
) -> tuple[LinkState, str]:
    source = _required(file)
    previous = source.previous
    if previous is None:
        detail = (
            ""
            if oldest
            else "names no predecessor, though there are older recordings: its recorder knew none"
        )
        return LinkState.FIRST, detail
    before = by_id.get(previous.segment_id)
    if before is None:
        if oldest:
            return (
                LinkState.OLDEST,
                f"its predecessor {previous.segment_id} is not here, as is none that is older",
            )
        return LinkState.MISSING, f"its predecessor {previous.segment_id} is missing"
    if _start(before) > _start(file):
        return LinkState.REORDERED, f"begins before its predecessor {before.name}"
    if _required(before).chain_digest == previous.chain_digest:
        return LinkState.FOLLOWS, before.name
    known = prefixes(before)
    if previous.chain_digest in known:
        written = known.index(previous.chain_digest) + 1
        if written == len(known):
            return LinkState.FOLLOWS, f"{before.name}, which is not signed itself, and ends as it did then"
        return (
            LinkState.FOLLOWS,
            f"{before.name}, of which {written} of {len(known)} fragments were written then",
        )
    return LinkState.DIFFERENT, f"its predecessor {before.name} ends otherwise than it did"


def _source(file: FileReport) -> SourceReport | None:
    return file.sources[0] if file.kind == "recording" and file.sources else None


def _required(file: FileReport) -> SourceReport:
    return file.sources[0]


def _start(file: FileReport) -> int:
    return _required(file).start_ns or 0
