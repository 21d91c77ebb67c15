import pytest
from hypothesis import given
from hypothesis import strategies as st

from vms.wire import rtp
from vms.wire.errors import ProtocolError

uint16 = st.integers(0, 0xFFFF)
uint32 = st.integers(0, 0xFFFFFFFF)


@given(st.integers(0, 127), uint16, uint32, uint32, st.booleans(), st.binary(max_size=50))
def test_what_is_packed_is_parsed(
    payload_type: int, sequence_number: int, timestamp: int, ssrc: int, marker: bool, payload: bytes
) -> None:
    extension = rtp.pack_extensions({3: b"abc"})
    header = rtp.pack_header(
        payload_type, sequence_number, timestamp, ssrc, marker=marker, extension=extension
    )
    packet = rtp.parse(b"xx" + header + payload + b"yyy", 2, 2 + len(header) + len(payload))
    assert packet[:5] == (marker, payload_type, sequence_number, timestamp, ssrc)
    assert packet.payload_start == 2 + len(header)
    assert packet.payload_end == 2 + len(header) + len(payload)
    assert rtp.parse_extensions(packet.extension_profile, packet.extension) == {3: b"abc"}


def test_sources_extension_and_padding_are_left_out_of_the_payload() -> None:
    header = bytes.fromhex("b2e00001 00000002 00000003 11111111 22222222 bede0001 10aa0000")
    packet = rtp.parse(header + b"payload" + b"\0\0\3")
    assert (header + b"payload")[packet.payload_start : packet.payload_end] == b"payload"
    assert packet.marker
    assert packet.payload_type == 96
    assert rtp.parse_extensions(packet.extension_profile, packet.extension) == {1: b"\xaa"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(11),
        bytes(12),
        bytes.fromhex("8060000100000002000000") + b"",
        bytes.fromhex("8f6000010000000200000003"),  # 15 sources that are not there
        bytes.fromhex("906000010000000200000003"),  # an extension that is not there
        bytes.fromhex("906000010000000200000003bede0004"),
        bytes.fromhex("a06000010000000200000003aaaa00"),  # padding of 0
        bytes.fromhex("a06000010000000200000003aaaa09"),
    ],
)
def test_a_broken_packet_is_a_protocol_error(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        rtp.parse(data)


@given(st.dictionaries(st.integers(1, 14), st.binary(min_size=1, max_size=16)))
def test_one_byte_extensions_come_back(elements: dict[int, bytes]) -> None:
    block = rtp.pack_extensions(elements)
    if elements:
        assert block[:2] == b"\xbe\xde"
        assert rtp.parse_extensions(0xBEDE, block[4:]) == elements


@given(st.dictionaries(st.integers(1, 255), st.binary(max_size=255), min_size=1, max_size=5))
def test_any_extensions_come_back(elements: dict[int, bytes]) -> None:
    block = rtp.pack_extensions(elements)
    assert len(block) % 4 == 0
    assert rtp.parse_extensions(int.from_bytes(block[:2]), block[4:]) == elements


def test_an_extension_of_another_profile_has_no_elements() -> None:
    assert rtp.parse_extensions(0xABAC, bytes(12)) == {}


@given(st.integers(0, 0xFFFF), st.binary(max_size=40))
def test_extensions_of_any_bytes_never_fail(profile: int, data: bytes) -> None:
    rtp.parse_extensions(profile, data)


@pytest.mark.parametrize(
    ("newer", "older", "delta"), [(1, 0, 1), (0, 65535, 1), (65535, 0, -1), (0x8000, 0, -0x8000), (5, 5, 0)]
)
def test_sequence_numbers_wrap(newer: int, older: int, delta: int) -> None:
    assert rtp.sequence_delta(newer, older) == delta


@given(uint32, st.lists(st.integers(-(2**31), 2**31 - 1), max_size=50))
def test_unwrapped_timestamps_keep_every_distance(first: int, steps: list[int]) -> None:
    unwrapper = rtp.TimestampUnwrapper()
    true = first
    assert unwrapper.advance(first) == first
    for step in steps:
        true += step
        assert unwrapper.peek(true & 0xFFFFFFFF) == true
        assert unwrapper.advance(true & 0xFFFFFFFF) == true
