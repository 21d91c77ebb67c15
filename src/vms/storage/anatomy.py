"""What a file under the name of a recording really is: whole, torn, zero-filled, damaged, or nothing of ours.

Belongs here: telling them apart. Does not: what is done about it (repair, fsck), whether bytes are those that were
recorded (vms.evidence).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from vms.format.errors import FormatError
from vms.format.hybrid import Fragment, SegmentFile, read_segment
from vms.format.hybrid.layout import FILE_TYPE, is_torn_beginning
from vms.format.hybrid.scan import read_fragment
from vms.format.hybrid.tail import has_whole_movie, read_index
from vms.format.hybrid.types import ReadAt
from vms.storage.body import Body

_BLOCK_BYTES = 1 << 20


class Condition(StrEnum):
    """What a file is."""

    WHOLE = "whole"  # closed, and all of its parts agree
    TORN = "torn"  # ours, with whole fragments, and not closed: its writer died, or is at work
    EMPTY = "empty"  # it begins as one of ours, or has no byte, and there is no whole fragment
    ZEROS = "zero_filled"  # nothing but zeros: space that a crash of the machine left behind
    DAMAGED = "damaged"  # ours, and something in it contradicts the rest
    FOREIGN = "foreign"  # not a recording of this system


@dataclass(frozen=True, slots=True)
class Damage:
    """Fragments `first` up to, not including, `last` are not what the index says. zeros: they are blank."""

    first: int
    last: int
    zeros: bool


@dataclass(frozen=True, slots=True)
class Anatomy:
    """What was found.

    file: as far as it can be read; None when nothing can. rest_bytes: behind its last whole fragment, of one that is torn.
    damages: of a closed file, when its fragments were looked at. detail: for a person.
    """

    condition: Condition
    detail: str
    file: SegmentFile | None = None
    rest_bytes: int = 0
    damages: list[Damage] = field(default_factory=list)


def examine(body: Body, *, deep: bool = False) -> Anatomy:
    """What the file behind `body` is; `deep` looks at every fragment of a closed one (a read each).

    Blocks. Raises OSError from the disk, and KeyUnknown.
    """
    size = body.size_bytes
    if not size:
        return Anatomy(Condition.EMPTY, "it has no byte")
    try:
        file = read_segment(body.read_at, size)
    except FormatError as error:
        return _unreadable(body.read_at, size, str(error))
    if not file.closed:
        return _open(body.read_at, size, file)
    if not _movie_is_whole(body.read_at, file):
        return Anatomy(Condition.DAMAGED, "its final moov is not the one that its index names", file)
    if size > file.size:
        detail = f"{size - file.size} bytes stand behind its end"
        return Anatomy(Condition.DAMAGED, detail, file)
    damages = list(_damages(body.read_at, file)) if deep else []
    if damages:
        return Anatomy(Condition.DAMAGED, _describe(damages, len(file.fragments)), file, damages=damages)
    return Anatomy(Condition.WHOLE, f"{len(file.fragments)} fragments", file)


def is_blank(read_at: ReadAt, offset: int, size: int) -> bool:
    """Whether there is nothing but zeros in `size` bytes from `offset`."""
    end = offset + size
    while offset < end:
        data = read_at(offset, min(_BLOCK_BYTES, end - offset))
        if not data or any(memoryview(data)):
            return not data
        offset += len(data)
    return True


def _unreadable(read_at: ReadAt, size: int, reason: str) -> Anatomy:
    if FILE_TYPE.startswith(read_at(0, len(FILE_TYPE))):
        return Anatomy(Condition.EMPTY, f"it ends within its first bytes: {reason}")
    if is_blank(read_at, 0, size):
        return Anatomy(Condition.ZEROS, f"{size} bytes, all of them zero")
    if is_torn_beginning(read_at):
        return Anatomy(Condition.EMPTY, f"it ends, or is blank, within its beginning: {reason}")
    return Anatomy(Condition.FOREIGN, reason)


def _open(read_at: ReadAt, size: int, file: SegmentFile) -> Anatomy:
    rest = size - file.size
    blank = rest > 0 and is_blank(read_at, file.size, rest)
    what = f"{rest} {'blank ' if blank else ''}bytes behind its last whole fragment"
    if not file.fragments:
        return Anatomy(Condition.EMPTY, f"no whole fragment; {what}", file, rest)
    return Anatomy(Condition.TORN, f"{len(file.fragments)} whole fragments, not closed; {what}", file, rest)


def _movie_is_whole(read_at: ReadAt, file: SegmentFile) -> bool:
    try:
        index, offset = read_index(read_at, file.fragments[-1].end, file.size)
    except FormatError:
        return False
    return has_whole_movie(read_at, index, offset)


def _damages(read_at: ReadAt, file: SegmentFile) -> Iterator[Damage]:
    """Runs of fragments that are not what the index says."""
    tracks = {track.id: track for track in file.tracks}
    first: int | None = None
    blank = True
    for number, expected in enumerate(file.fragments):
        try:
            found, sequence_number = read_fragment(read_at, expected.offset, expected.end, tracks)
            agrees = sequence_number == number + 1 and _same(found.fragment, expected)
        except FormatError:
            agrees = False
        if agrees:
            if first is not None:
                yield Damage(first, number, blank)
            first, blank = None, True
            continue
        first = number if first is None else first
        blank = blank and is_blank(read_at, expected.offset, expected.size)
    if first is not None:
        yield Damage(first, len(file.fragments), blank)


def _same(found: Fragment, expected: Fragment) -> bool:
    return found.size == expected.size and found.start_ns == expected.start_ns and found.key == expected.key


def _describe(damages: list[Damage], many: int) -> str:
    parts = [
        f"{'fragment' if each.last - each.first == 1 else 'fragments'} "
        f"{each.first}{f' to {each.last - 1}' if each.last - each.first > 1 else ''}"
        f"{' (blank)' if each.zeros else ''}"
        for each in damages
    ]
    return f"{', '.join(parts)} of {many} cannot be played"
