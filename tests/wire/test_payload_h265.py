"""H.265 payloads: single NAL units and fragmentation units that reassemble to what was cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.rtp_packets import Recorder

from vms.format import nal
from vms.format.errors import FormatError
from vms.wire.depayload.h265 import H265Depayloader
from vms.wire.payload.h265 import packetize
from vms.wire.reception import Reception

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


@pytest.mark.parametrize("nal_type", [48, FU, 50, 63])
@pytest.mark.parametrize("size", [2, 96, 97, 100, 101, 250])
def test_a_unit_that_would_be_taken_for_a_packet_of_another_kind_is_put_into_one(
    nal_type: int, size: int
) -> None:
    unit = bytes((nal_type << 1, 1)) + bytes(range(size - 2))
    recorder = Recorder()
    depayloader = H265Depayloader(recorder, Reception(90_000), trust_markers=True)
    payloads = packetize(nal.join([unit]), 100)
    assert all(len(payload) <= 100 and payload[0] >> 1 in (48, FU) for payload in payloads)
    assert not any(payload[0] >> 1 == FU and payload[2] & 0xC0 == 0xC0 for payload in payloads)
    for index, payload in enumerate(payloads):
        depayloader.push(payload, 0, len(payload), 1, index == len(payloads) - 1, 0)
    assert [each.data for each in recorder.units] == [nal.join([unit])]
