"""Torn, zero-filled, damaged and foreign files are told apart, wherever the damage is."""

import os
from pathlib import Path

import pytest
from tests.format.format_material import AUDIO, VIDEO, Recording, interleave, pictures, record, sounds

from vms.storage.anatomy import Anatomy, Condition, Damage, examine
from vms.storage.body import PlainBody


@pytest.fixture(scope="module")
def recording() -> Recording:
    return record([VIDEO, AUDIO], interleave(pictures(4, fps=5, gop=5), sounds(4)))


def look(folder: Path, data: bytes) -> Anatomy:
    path = folder / "file.mp4"
    path.write_bytes(data)
    body = PlainBody(os.open(path, os.O_RDONLY))
    try:
        return examine(body, deep=True)
    finally:
        body.close()


def test_a_closed_recording_is_whole(tmp_path: Path, recording: Recording) -> None:
    found = look(tmp_path, recording.closed)
    assert found.condition is Condition.WHOLE
    assert found.file is not None
    assert found.file.fragments == recording.fragments


def test_cut_anywhere_it_is_empty_torn_or_damaged_and_never_foreign(
    tmp_path: Path, recording: Recording
) -> None:
    closed = recording.closed
    first = recording.fragments[0].end
    for size in (*range(0, first + 40, 97), *range(first + 40, len(closed), 1009), len(closed) - 1):
        found = look(tmp_path, closed[:size])
        expected = Condition.EMPTY if size < first else Condition.TORN
        assert found.condition is expected, f"cut at {size}: {found}"


def test_the_beginning_of_a_foreign_file_tells(tmp_path: Path, recording: Recording) -> None:
    assert look(tmp_path, b"not a recording at all" * 100).condition is Condition.FOREIGN
    assert look(tmp_path, b"\0\0\0\x18ftypmp42" + recording.closed[12:]).condition is Condition.FOREIGN


@pytest.mark.parametrize("size", [4, 4096, 3 << 20])
def test_nothing_but_zeros_is_zero_filled(tmp_path: Path, size: int) -> None:
    assert look(tmp_path, bytes(size)).condition is Condition.ZEROS


def test_a_single_bit_among_zeros_is_not_zero_filled(tmp_path: Path) -> None:
    data = bytearray(2 << 20)
    data[-1] = 1
    assert look(tmp_path, bytes(data)).condition is not Condition.ZEROS


def test_blank_space_behind_the_last_fragment_is_said(tmp_path: Path, recording: Recording) -> None:
    found = look(tmp_path, recording.open + bytes(70_000))
    assert found.condition is Condition.TORN
    assert found.rest_bytes == 70_000
    assert "blank" in found.detail


def test_every_fragment_that_cannot_be_played_is_named(tmp_path: Path, recording: Recording) -> None:
    data = bytearray(recording.closed)
    for number in (1, 2, 5):
        each = recording.fragments[number]
        data[each.offset : each.end] = bytes(each.size)
    moof = recording.fragments[7].offset + 40
    data[moof] ^= 0x40
    found = look(tmp_path, bytes(data))
    assert found.condition is Condition.DAMAGED
    assert found.damages == [Damage(1, 3, True), Damage(5, 6, True), Damage(7, 8, False)]
    assert "1 to 2 (blank), fragment 5 (blank), fragment 7 of" in found.detail


def test_a_final_moov_that_was_changed_is_damage(tmp_path: Path, recording: Recording) -> None:
    data = bytearray(recording.closed)
    data[-5] ^= 1
    found = look(tmp_path, bytes(data))
    assert found.condition is Condition.DAMAGED
    assert "moov" in found.detail


def test_bytes_behind_the_end_are_damage(tmp_path: Path, recording: Recording) -> None:
    found = look(tmp_path, recording.closed + b"more")
    assert found.condition is Condition.DAMAGED
    assert "4 bytes" in found.detail
