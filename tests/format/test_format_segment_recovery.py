"""Interrupted anywhere, a recording comes back with every complete fragment."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.format.format_material import (
    AUDIO,
    VIDEO,
    Recording,
    interleave,
    pictures,
    read_at,
    record,
    sounds,
)

from vms.format.errors import FormatError
from vms.format.hybrid import Recovery, RecoveryAction, plan_recovery, read_samples, read_segment


@pytest.fixture(scope="module")
def recording() -> Recording:
    return record([VIDEO, AUDIO], interleave(pictures(1.2, fps=5, gop=3), sounds(0.3)))


def _plan(data: bytes) -> Recovery:
    return plan_recovery(read_at(data), len(data))


def _carry_out(data: bytes, plan: Recovery) -> bytes:
    kept = bytearray(data[: plan.truncate_to] + plan.tail)
    kept[plan.flip_offset : plan.flip_offset + len(plan.flip)] = plan.flip
    return bytes(kept)


def _complete(recording: Recording, size: int) -> int:
    return sum(each.end <= size for each in recording.fragments)


def _assert_recovers(recording: Recording, data: bytes, expected: int) -> None:
    """`data` comes back with `expected` fragments, closed, whatever plan that takes."""
    plan = _plan(data)
    if not expected:
        assert plan.action is RecoveryAction.EMPTY
        return
    assert plan.segment is not None
    recovered = _carry_out(data, plan)
    segment = read_segment(read_at(recovered), len(recovered))
    assert segment == plan.segment
    assert segment.closed
    assert segment.fragments == recording.fragments[:expected]
    assert _plan(recovered).action is RecoveryAction.INTACT
    for table in read_samples(read_at(recovered), segment).values():
        assert table.offsets[-1] + table.sizes[-1] <= segment.fragments[-1].end


def test_a_file_cut_at_any_byte_keeps_every_complete_fragment(recording: Recording) -> None:
    whole = recording.with_tail
    for size in range(len(whole)):
        _assert_recovers(recording, whole[:size], _complete(recording, size))


def test_a_closed_file_cut_at_any_byte_keeps_every_complete_fragment(recording: Recording) -> None:
    whole = recording.closed
    for size in range(len(whole)):
        _assert_recovers(recording, whole[:size], _complete(recording, size))


def test_a_flip_torn_at_any_byte_is_completed(recording: Recording) -> None:
    at, flip = recording.finish.flip_offset, recording.finish.flip
    for written in range(16):
        data = bytearray(recording.with_tail)
        data[at : at + written] = flip[:written]
        plan = _plan(bytes(data))
        assert plan.action is RecoveryAction.FLIP
        assert _carry_out(bytes(data), plan) == recording.closed


@settings(max_examples=300)
@given(st.data())
def test_blocks_that_never_reached_the_disk_are_noticed(recording: Recording, data: st.DataObject) -> None:
    """After a power loss, stretches of a file may read as zeros though its size is right."""
    whole = bytearray(recording.with_tail)
    start = data.draw(st.integers(len(recording.open) - 600, len(whole) - 1))
    size = data.draw(st.integers(1, len(whole) - start))
    lost = bytes(whole[:start]) + bytes(size) + bytes(whole[start + size :])
    plan = _plan(lost)
    recovered = _carry_out(lost, plan)
    segment = read_segment(read_at(recovered), len(recovered))
    assert segment.closed
    assert recording.fragments[: len(segment.fragments)] == segment.fragments
    assert len(segment.fragments) >= _complete(recording, start)


def test_recovery_that_is_interrupted_is_taken_up_again(recording: Recording) -> None:
    cut = recording.fragments[-1].offset + 50
    broken = recording.open[:cut]
    plan = _plan(broken)
    assert plan.action is RecoveryAction.REBUILD
    finished = _carry_out(broken, plan)
    for written in range(len(plan.tail)):
        again = broken[: plan.truncate_to] + plan.tail[:written]
        assert _carry_out(again, _plan(again)) == finished


def test_a_closed_file_is_left_alone(recording: Recording) -> None:
    plan = _plan(recording.closed)
    assert (plan.action, plan.tail, plan.flip) == (RecoveryAction.INTACT, b"", b"")
    assert plan.truncate_to == len(recording.closed)


def test_only_the_flip_is_missing(recording: Recording) -> None:
    plan = _plan(recording.with_tail + bytes(77))
    assert plan.action is RecoveryAction.FLIP
    assert _carry_out(recording.with_tail + bytes(77), plan) == recording.closed


def test_a_rebuilt_file_is_the_one_that_would_have_been_written(recording: Recording) -> None:
    plan = _plan(recording.open)
    assert plan.action is RecoveryAction.REBUILD
    assert _carry_out(recording.open, plan) == recording.closed


@pytest.mark.parametrize("data", [b"", bytes(10_000)])
def test_a_file_that_a_crash_left_empty_holds_nothing(data: bytes) -> None:
    assert _plan(data).action is RecoveryAction.EMPTY


@pytest.mark.parametrize(
    "data", [b"x", b"\0\0\0\x18ftypmp42" + bytes(200), b"#!/bin/sh\n", b"\0" * 50 + b"x"]
)
def test_a_foreign_file_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        _plan(data)
