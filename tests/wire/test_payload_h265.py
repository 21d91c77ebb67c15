"""H.265 payloads: single NAL units and fragmentation units that reassemble to what was cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vms.format import nal
from vms.format.errors import FormatError
from vms.wire.payload.h265 import packetize

FU = 49


def reassemble(payloads: list[bytes]) -> list[bytes]:
    """NAL units by RFC 7798 §4.4.1 and §4.4.3, written from the standard."""
    units: list[bytes] = []
    for payload in payloads:
        if payload[0] >> 1 & 0x3F != FU:
            units.append(payload)
            continue
        start, nal_type = payload[2] & 0x80, payload[2] & 0x3F
        if start:
            units.append(bytes((payload[0] & 0x81 | nal_type << 1, payload[1])))
        units[-1] += payload[3:]
    return units


def test_a_nal_unit_that_fits_is_one_payload_as_it_is() -> None:
    unit = bytes((33 << 1, 1)) + b"s" * 40
    assert packetize(nal.join([unit]), 1000) == [unit]


def test_a_large_slice_keeps_layer_and_temporal_id_in_every_fragment() -> None:
    header = bytes((19 << 1 | 1, 0x0B))  # IDR_W_RADL, the low bit of the layer id's six set, TID 3
    payloads = packetize(nal.join([header + b"x" * 5000]), 1000)
    assert len(payloads) > 1
    assert {payload[:2] for payload in payloads} == {bytes((FU << 1 | 1, 0x0B))}
    assert [payload[2] >> 6 for payload in payloads] == [2, *[0] * (len(payloads) - 2), 1]


def test_lengths_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(FormatError):
        packetize(b"\0\0\0\x09abc", 1000)


@given(
    st.lists(
        st.builds(
            lambda kind, tid, body: bytes((kind << 1, tid)) + body,
            st.integers(0, 47),
            st.integers(1, 7),
            st.binary(min_size=1, max_size=4000),
        ),
        min_size=1,
        max_size=6,
    ),
    st.integers(64, 1500),
)
def test_whatever_is_cut_reassembles_and_no_payload_is_too_long(units: list[bytes], max_payload: int) -> None:
    payloads = packetize(nal.join(units), max_payload)
    assert reassemble(payloads) == units
    assert max(map(len, payloads)) <= max_payload
