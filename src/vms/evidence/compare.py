"""Which fragments stand where, compared with a list of digests that says which should.

Fragments are first looked for where the signed index puts them. Where one is not, the bytes there are walked from
box to box, and what is found is looked up in the list: so a swapped, dropped or doubled fragment is named. Damage may
have destroyed any box: then the walk goes on at the next beginning of a fragment.

Belongs here: bytes against digests. Does not: whether the list can be believed (recording_check, clip_check).
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from vms.evidence.report import FragmentResult, FragmentState
from vms.format.errors import FormatError
from vms.format.hybrid import ReadAt
from vms.format.hybrid.integrity import read_digest
from vms.format.mp4.boxes import parse_header

Progress = Callable[[int], None]
"""Told of bytes that were looked at."""

# The header and version of prft, as every fragment begins
_BEGINNING = bytes.fromhex("0000002070726674 01000000")
_SEARCH_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class _Found:
    """Bytes of the file, and the number of the fragment that they are; None: of none."""

    offset: int
    size: int
    leaf: int | None


@dataclass(frozen=True, slots=True)
class Region:
    """Where fragments stand: `start` up to `end` of what `read_at` reads."""

    read_at: ReadAt
    start: int
    end: int


def compare_fragments(
    region: Region,
    leaves: Sequence[bytes],
    sizes: Sequence[int] | None,
    wanted: range,
    progress: Progress | None = None,
) -> list[FragmentResult]:
    """What became of fragments number `wanted`, in the order of the file.

    leaves: the digests of all of the recording's fragments. sizes: theirs, when they can be believed.
    """
    known = {leaf: index for index, leaf in enumerate(leaves)}
    tell = progress or (lambda _: None)
    if sizes is not None and wanted and sum(sizes[wanted.start : wanted.stop]) == region.end - region.start:
        found = list(_at_their_places(region, leaves, sizes, wanted, tell))
        if all(each.leaf is not None for each in found) and len(found) == len(wanted):
            return [_result(each, FragmentState.UNCHANGED) for each in found]
        found = _look_closer(region, found, known)
    else:
        found = _walk(region, region.start, region.end, known, tell)
    return _judge(found, wanted)


def walk_digests(region: Region) -> list[bytes]:
    """Digests of the fragments of an undamaged region, by its boxes; fewer when it is damaged."""
    digests, position = [], region.start
    while position < region.end:
        size = _fragment_size(region, position, region.end)
        if size is None:
            break
        digests.append(read_digest(region.read_at, position, size))
        position += size
    return digests


def _at_their_places(
    region: Region, leaves: Sequence[bytes], sizes: Sequence[int], wanted: range, tell: Progress
) -> Iterator[_Found]:
    offsets = accumulate(sizes[wanted.start : wanted.stop - 1], initial=region.start)
    for index, offset in zip(wanted, offsets, strict=True):
        right = read_digest(region.read_at, offset, sizes[index]) == leaves[index]
        tell(sizes[index])
        yield _Found(offset, sizes[index], index if right else None)


def _look_closer(region: Region, found: list[_Found], known: Mapping[bytes, int]) -> list[_Found]:
    """What stands where fragments were expected and are not."""
    result: list[_Found] = []
    index = 0
    while index < len(found):
        if found[index].leaf is not None:
            result.append(found[index])
            index += 1
            continue
        last = index
        while last < len(found) and found[last].leaf is None:
            last += 1
        walked = _walk(
            region, found[index].offset, found[last - 1].offset + found[last - 1].size, known, lambda _: None
        )
        result += walked if any(each.leaf is not None for each in walked) else found[index:last]
        index = last
    return result


def _walk(region: Region, start: int, end: int, known: Mapping[bytes, int], tell: Progress) -> list[_Found]:
    found = []
    while start < end:
        size = _fragment_size(region, start, end)
        stop = start + size if size is not None else end
        # Sizes may lie, and swallow what follows
        stop = _next_beginning(region, start + 1, stop)
        leaf = known.get(read_digest(region.read_at, start, stop - start)) if size == stop - start else None
        found.append(_Found(start, stop - start, leaf))
        tell(stop - start)
        start = stop
    return found


def _fragment_size(region: Region, start: int, end: int) -> int | None:
    position = start
    for kind in (b"prft", b"moof", b"mdat"):
        try:
            header = parse_header(region.read_at(position, 16))
        except FormatError:
            return None
        position += header.size
        if header.kind != kind or position > end:
            return None
    return position - start


def _next_beginning(region: Region, start: int, end: int) -> int:
    """Where the next fragment seems to begin, at `end` at the latest."""
    overlap = len(_BEGINNING) - 1
    while start < end:
        data = region.read_at(start, min(_SEARCH_BYTES, end - start))
        at = data.find(_BEGINNING)
        if at >= 0:
            return start + at
        if len(data) <= overlap:
            break
        start += len(data) - overlap
    return end


def _judge(found: list[_Found], wanted: range) -> list[FragmentResult]:
    ours = [(place, each.leaf) for place, each in enumerate(found) if each.leaf in wanted]
    in_order = {ours[position][0] for position in _in_order([leaf for _, leaf in ours])}
    placed = {found[place].leaf for place in in_order}
    present = {each.leaf for each in found}
    results: list[FragmentResult] = []
    strangers: list[_Found] = []
    following = wanted.start  # the first fragment that was not accounted for
    for place, each in enumerate(found):
        leaf = each.leaf
        if leaf is None:
            strangers.append(each)
        elif leaf not in wanted:
            detail = f"is fragment {leaf} of the recording, which should not be here"
            results.append(_result(each, FragmentState.FOREIGN, detail))
        elif place in in_order:
            results += _between(strangers, range(following, leaf), present)
            results.append(_result(each, FragmentState.UNCHANGED))
            strangers, following = [], leaf + 1
        elif leaf in placed:
            results.append(_result(each, FragmentState.DUPLICATED, "stands here a second time"))
        else:
            placed.add(leaf)
            results.append(_result(each, FragmentState.REORDERED, "does not stand where it was recorded"))
    return results + _between(strangers, range(following, wanted.stop), present)


def _between(strangers: list[_Found], expected: range, present: set[int | None]) -> list[FragmentResult]:
    """Fragments that nothing was found of, told from the bytes that stand in their place."""
    lost = [index for index in expected if index not in present]
    results = []
    for number, index in enumerate(lost):
        if number < len(strangers):
            here = strangers[number]
            results.append(FragmentResult(index, FragmentState.CHANGED, here.offset, here.size))
        else:
            results.append(FragmentResult(index, FragmentState.MISSING, None, 0))
    for here in strangers[len(lost) :]:
        results.append(
            FragmentResult(
                None, FragmentState.FOREIGN, here.offset, here.size, detail="no fragment of this recording"
            )
        )
    return results


def _in_order(leaves: Sequence[int | None]) -> list[int]:
    """Positions of the most fragments that stand in rising order: the longest increasing subsequence."""
    tails: list[int] = []  # positions in `leaves`
    values: list[int] = []
    before: list[int] = []
    for position, leaf in enumerate(leaves):
        assert leaf is not None, "only known ones are compared"
        place = bisect_left(values, leaf)
        before.append(tails[place - 1] if place else -1)
        if place == len(values):
            values.append(leaf)
            tails.append(position)
        else:
            values[place], tails[place] = leaf, position
    chosen = []
    position = tails[-1] if tails else -1
    while position >= 0:
        chosen.append(position)
        position = before[position]
    return chosen


def _result(found: _Found, state: FragmentState, detail: str = "") -> FragmentResult:
    return FragmentResult(found.leaf, state, found.offset, found.size, detail=detail)
