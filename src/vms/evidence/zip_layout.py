"""Whether a ZIP file consists of its members and of nothing else (APPNOTE 4.3).

A ZIP file is read from its end. So anything can stand before it, a film for instance, and between its members, where
programs find it that read from the beginning; and a member can bear another name where it stands than in the list. What
was verified must be what everybody gets.

Belongs here: the bytes between and around members. Does not: what is in the members (archive).
"""

import zipfile
from collections.abc import Iterator
from struct import Struct, error

from vms.format.hybrid import ReadAt

LOCAL_MARK = b"PK\3\4"
_LISTED_MARK, _DESCRIPTOR_MARK = b"PK\1\2", b"PK\7\x08"
_END_MARK, _END64_MARK, _LOCATOR64_MARK = b"PK\5\6", b"PK\6\6", b"PK\6\7"
# mark, version, flags, method, time and date, CRC, stored size, size, length of name and of the extra field
_LOCAL = Struct("<4sHHHIIIIHH")
_LISTED_BYTES, _LISTED_LENGTHS = 46, Struct("<28xHHH")
_END = Struct("<4s18x")
_END64 = Struct("<4sQ44x")
_LOCATOR64 = Struct("<4s16x")
_SIZES_FOLLOW, _UTF8 = 0x08, 0x800
_IN_EXTRA = 0xFFFF_FFFF
_EXTRA64 = 1
_MAX_LIST_BYTES = 64 << 20


def strange_bytes(archive: zipfile.ZipFile, read_at: ReadAt, size: int) -> Iterator[str]:
    """What is in a ZIP file of `size` bytes besides the members that `archive` lists; nothing for a right one."""
    position = 0
    for member in sorted(archive.infolist(), key=lambda each: each.header_offset):
        if member.header_offset != position:
            yield f"{member.header_offset - position} bytes before {member.filename} belong to no file of the archive"
            return
        end = _end_of(member, read_at)
        if end is None:
            yield f"{member.filename} is described otherwise where it stands than in the archive's list"
            return
        position = end
    if position != archive.start_dir:
        yield f"{archive.start_dir - position} bytes behind the last file belong to none"
    elif not _is_list(read_at(position, min(size - position, _MAX_LIST_BYTES)), len(archive.infolist())):
        yield "something stands in or behind the archive's list that is not of it"


def _end_of(member: zipfile.ZipInfo, read_at: ReadAt) -> int | None:
    """Where a member ends that its own header describes as the list does."""
    data = read_at(member.header_offset, _LOCAL.size)
    try:
        mark, _, flags, method, _, crc, stored, full, name_bytes, extra_bytes = _LOCAL.unpack(data)
    except error:
        return None
    texts = read_at(member.header_offset + _LOCAL.size, name_bytes + extra_bytes)
    name, extra = texts[:name_bytes], texts[name_bytes:]
    encoding = "utf-8" if flags & _UTF8 else "cp437"
    if mark != LOCAL_MARK or name.decode(encoding, "replace") != member.orig_filename:
        return None
    if method != member.compress_type or flags != member.flag_bits:
        return None
    end = member.header_offset + _LOCAL.size + len(texts) + member.compress_size
    if flags & _SIZES_FOLLOW:
        return _end_of_descriptor(member, read_at, end)
    if _IN_EXTRA in (stored, full):
        full, stored = _sizes64(extra, full, stored)
    right = (crc, stored, full) == (member.CRC, member.compress_size, member.file_size)
    return end if right else None


def _end_of_descriptor(member: zipfile.ZipInfo, read_at: ReadAt, position: int) -> int | None:
    """Sizes that follow a member (4.3.9): with a mark or without one, of 32 or of 64 bits."""
    for mark in (_DESCRIPTOR_MARK, b""):
        for width in (4, 8):
            sizes = (member.compress_size, member.file_size)
            if max(sizes) >= 1 << 8 * width:
                continue
            expected = mark + member.CRC.to_bytes(4, "little")
            expected += b"".join(each.to_bytes(width, "little") for each in sizes)
            if read_at(position, len(expected)) == expected:
                return position + len(expected)
    return None


def _sizes64(extra: bytes, full: int, stored: int) -> tuple[int, int]:
    """Sizes of 64 bits, of the extra field (4.5.3)."""
    position = 0
    while position + 4 <= len(extra):
        kind, length = (int.from_bytes(extra[at : at + 2], "little") for at in (position, position + 2))
        field = extra[position + 4 : position + 4 + length]
        if kind == _EXTRA64:
            if full == _IN_EXTRA:
                full, field = int.from_bytes(field[:8], "little"), field[8:]
            if stored == _IN_EXTRA:
                stored = int.from_bytes(field[:8], "little")
            break
        position += 4 + length
    return full, stored


def _is_list(data: bytes, members: int) -> bool:
    """Whether `data` is a list of so many members, the records that end it, and no more."""
    position = 0
    for _ in range(members):
        if data[position : position + 4] != _LISTED_MARK or position + _LISTED_BYTES > len(data):
            return False
        position += _LISTED_BYTES + sum(_LISTED_LENGTHS.unpack_from(data, position))
    if data[position : position + 4] == _END64_MARK and position + _END64.size <= len(data):
        _, length = _END64.unpack_from(data, position)
        position += _END64.size
        if length != _END64.size - 12 or data[position : position + 4] != _LOCATOR64_MARK:
            return False
        position += _LOCATOR64.size
    return data[position : position + 4] == _END_MARK and len(data) == position + _END.size
