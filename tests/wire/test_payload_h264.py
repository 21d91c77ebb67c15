"""H.264 payloads: what goes in comes out, in packets that one UDP GSO send can cut."""

import pytest
from aiortc.codecs.h264 import H264PayloadDescriptor
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.rtp_packets import Recorder

from vms.format import nal
from vms.format.errors import FormatError
from vms.wire.depayload.h264 import H264Depayloader
from vms.wire.payload.h264 import FU_A, STAP_A, aggregate, packetize
from vms.wire.reception import Reception
from vms.wire.webrtc.frame import segment_runs

SPS, PPS, SEI = b"\x67\x64\x00\x1f" + b"s" * 20, b"\x68\xee" + b"p" * 3, b"\x06" + b"i" * 40
IDR, SLICE = b"\x65", b"\x41"


def reassemble(payloads: list[bytes]) -> list[bytes]:
    """NAL units as aiortc's depacketizer, which is not ours, finds them."""
    stream = b"".join(H264PayloadDescriptor.parse(payload)[1] for payload in payloads)
    return [bytes(unit) for unit in nal.split(nal.from_annex_b(stream))]


def test_a_small_slice_is_one_payload_as_it_is() -> None:
    assert packetize(nal.join([SLICE + b"x" * 99]), 1000) == [SLICE + b"x" * 99]


def test_leading_parameter_sets_and_sei_share_one_stap_a() -> None:
    stap, picture = packetize(nal.join([SPS, PPS, SEI, IDR + b"x" * 200]), 1000)
    assert stap[0] & 0x1F == STAP_A
    assert stap[0] & 0x60 == 0x60
    assert reassemble([stap]) == [SPS, PPS, SEI]
    assert picture == IDR + b"x" * 200


def test_a_large_slice_becomes_fragments_of_equal_size_that_one_send_can_carry() -> None:
    payloads = packetize(nal.join([IDR + b"x" * 10_000]), 1144)
    sizes = [len(payload) for payload in payloads]
    assert {payload[0] & 0x1F for payload in payloads} == {FU_A}
    assert len(set(sizes[:-1])) == 1
    assert sizes[-1] <= sizes[0] <= 1144
    assert segment_runs(sizes) == [(0, len(sizes))]


def test_a_parameter_set_that_does_not_fit_is_fragmented_after_those_that_do() -> None:
    units = [SPS, b"\x68" + b"P" * 3000, IDR + b"x"]
    assert reassemble(packetize(nal.join(units), 1144)) == units


def test_lengths_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(FormatError):
        packetize(b"\0\0\0\x09\x65abc", 1144)


def test_a_payload_too_small_for_fragments_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 64"):
        packetize(nal.join([SLICE]), 63)


def test_an_aggregate_takes_the_highest_importance_of_its_units() -> None:
    assert aggregate([b"\x06sei", b"\x67sps"])[0] == 0x60 | STAP_A


def body(size: int) -> bytes:
    return bytes(1 + at % 251 for at in range(size))  # without zeros: no start codes to emulate


units_strategy = st.lists(
    st.tuples(st.sampled_from([0x67, 0x68, 0x06, 0x09, 0x65, 0x41, 0x01]), st.integers(1, 6000)),
    min_size=1,
    max_size=12,
)


@given(units_strategy, st.integers(64, 1400))
def test_every_access_unit_comes_back_whole_and_in_order(units: list[tuple[int, int]], most: int) -> None:
    nals = [bytes((header,)) + body(size) for header, size in units]
    payloads = packetize(nal.join(nals), most)
    assert all(0 < len(payload) <= most for payload in payloads)
    assert reassemble(payloads) == nals


@given(st.lists(st.integers(1, 1144), min_size=1, max_size=300))
def test_runs_cover_all_packets_and_are_what_gso_can_cut(sizes: list[int]) -> None:
    runs = segment_runs(sizes)
    assert [at for first, end in runs for at in range(first, end)] == list(range(len(sizes)))
    for first, end in runs:
        assert len(set(sizes[first : end - 1])) <= 1
        assert sizes[end - 1] <= sizes[first]
        assert end - first <= 64
        assert sum(sizes[first:end]) + 56 * (end - first) <= 65_507


@pytest.mark.parametrize("nal_type", [0, STAP_A, FU_A, 31])
@pytest.mark.parametrize("size", [2, 99, 100, 101, 250])
def test_a_unit_that_would_be_taken_for_a_packet_of_another_kind_is_put_into_one(
    nal_type: int, size: int
) -> None:
    unit = bytes((0xE0 | nal_type,)) + bytes(range(size - 1))  # the forbidden bit set, as in a damaged stream
    recorder = Recorder()
    depayloader = H264Depayloader(recorder, Reception(90_000), trust_markers=True)
    payloads = packetize(nal.join([unit]), 100)
    assert all(payload[0] & 0x1F in (STAP_A, FU_A) and payload[0] & 0x80 for payload in payloads)
    assert not any(payload[0] & 0x1F == FU_A and payload[1] & 0xC0 == 0xC0 for payload in payloads)
    for index, payload in enumerate(payloads):
        depayloader.push(payload, 0, len(payload), 1, index == len(payloads) - 1, 0)
    assert [each.data for each in recorder.units] == [nal.join([unit])]
