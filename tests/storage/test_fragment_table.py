"""The fragment table's blob."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vms.format.hybrid import Fragment
from vms.storage.fragment_table import FragmentTableDamaged, pack, unpack
from vms.storage.segment import SegmentIndex

SIZES = st.integers(1, (1 << 32) - 1)
TIMES = st.integers(-(1 << 60), 1 << 60)


@st.composite
def indexes(draw: st.DrawFn) -> SegmentIndex:
    offset = draw(st.integers(0, 1 << 40))
    fragments = []
    for _ in range(draw(st.integers(0, 20))):
        size = draw(SIZES)
        fragments.append(
            Fragment(offset, size, draw(TIMES), draw(st.integers(0, 1 << 40)), draw(st.booleans()), ())
        )
        offset += size
    return SegmentIndex((draw(st.integers(0, 1 << 30)), draw(st.integers(0, 1 << 30))), fragments)


@given(indexes())
def test_a_table_survives_packing(index: SegmentIndex) -> None:
    unpacked = unpack(pack(index))
    assert unpacked.init == index.init
    assert unpacked.fragments == index.fragments


def test_regular_fragments_cost_a_few_bytes_each() -> None:
    fragments = [Fragment(n * 250_000, 250_000, n * 500_000_000, 500_000_000, True, ()) for n in range(600)]
    assert len(pack(SegmentIndex((48, 900), fragments))) < 600


@given(indexes(), st.data())
def test_a_damaged_table_is_a_typed_error_or_another_table(index: SegmentIndex, data: st.DataObject) -> None:
    blob = bytearray(pack(index))
    for _ in range(data.draw(st.integers(1, 4))):
        blob[data.draw(st.integers(0, len(blob) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(FragmentTableDamaged):
        unpack(bytes(blob[: data.draw(st.integers(0, len(blob)))]))


def test_a_table_that_claims_to_be_huge_is_refused() -> None:
    blob = bytearray(pack(SegmentIndex((0, 0), [])))
    blob[1:5] = b"\xff" * 4
    with pytest.raises(FragmentTableDamaged):
        unpack(bytes(blob))
