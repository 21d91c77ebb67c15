import pytest
from hypothesis import given
from hypothesis import strategies as st

from vms.wire import rtcp
from vms.wire.errors import ProtocolError

uint16 = st.integers(0, 0xFFFF)
uint32 = st.integers(0, 0xFFFFFFFF)
blocks = st.builds(
    rtcp.ReportBlock, uint32, st.integers(0, 255), st.integers(-(2**23), 2**23 - 1), *[uint32] * 4
)
several_blocks = st.lists(blocks, max_size=31).map(tuple)
packets = st.one_of(
    st.builds(rtcp.SenderReport, uint32, st.integers(0, 2**64 - 1), uint32, uint32, uint32, several_blocks),
    st.builds(rtcp.ReceiverReport, uint32, several_blocks),
    st.builds(rtcp.SourceDescription, uint32, st.text(st.characters(codec="ascii"), max_size=100)),
    st.builds(rtcp.Bye, st.lists(uint32, max_size=31).map(tuple)),
    st.builds(rtcp.ReceiverReferenceTime, uint32, st.integers(0, 2**64 - 1)),
    st.builds(rtcp.DelaySinceLastReference, uint32, uint32, uint32, uint32),
    st.builds(rtcp.PictureLossIndication, uint32, uint32),
    st.builds(
        rtcp.FullIntraRequest,
        uint32,
        st.lists(st.tuples(uint32, st.integers(0, 255)), max_size=5).map(tuple),
    ),
)


@given(st.lists(packets, max_size=6))
def test_compound_packets_come_back_in_order(several: list[rtcp.Packet]) -> None:
    data = rtcp.pack(several)
    assert len(data) % 4 == 0
    assert rtcp.parse(data) == several


@given(uint32, uint32, st.lists(uint16, unique=True, min_size=1, max_size=60))
def test_a_nack_names_what_is_missing_and_nothing_else(sender: int, media: int, missing: list[int]) -> None:
    (parsed,) = rtcp.parse(rtcp.Nack(sender, media, tuple(missing)).pack())
    assert isinstance(parsed, rtcp.Nack)
    assert sorted(parsed.sequence_numbers) == sorted(missing)
    assert parsed[:2] == (sender, media)


def test_a_nack_of_neighbours_takes_one_entry() -> None:
    assert len(rtcp.Nack(1, 2, (65535, 0, 5, 15)).pack()) == 16


def test_a_sender_report_of_another_make_is_read() -> None:
    # SR with one report block, SDES, as GStreamer 1.22 sends them.
    data = bytes.fromhex(
        "81c8000c 1a2b3c4d e3a1b2c3 80000000 00015f90 00000010 00000800"
        "deadbeef 01000002 00010010 00000005 b2c38000 00010000"
        "81ca0004 1a2b3c4d 0109 7573 6572 4068 6f73 7400"
    )
    report, description = rtcp.parse(data)
    assert isinstance(report, rtcp.SenderReport)
    assert report[:5] == (0x1A2B3C4D, 0xE3A1B2C380000000, 90000, 16, 2048)
    assert report.reports == (rtcp.ReportBlock(0xDEADBEEF, 1, 2, 0x10010, 5, 0xB2C38000, 0x10000),)
    assert description == rtcp.SourceDescription(0x1A2B3C4D, "user@host")


def test_packets_of_unknown_kinds_are_passed_over() -> None:
    unknown = bytes.fromhex("80d20002 00000001 61626364")
    bye = rtcp.Bye((1,))
    assert rtcp.parse(unknown + bye.pack()) == [bye]


def test_what_one_application_says_to_another_is_read_as_it_was_written() -> None:
    # RFC 3550 §6.7: version, subtype, type 204, length in words less one, SSRC, name, data
    written = bytes.fromhex("85cc0003 00000007 56474150 01020300")
    assert rtcp.Application(7, "VGAP", b"\1\2\3", 5).pack() == written
    assert rtcp.parse(written) == [rtcp.Application(7, "VGAP", b"\1\2\3\0", 5)]
    with pytest.raises(ProtocolError, match="APP"):
        rtcp.parse(bytes.fromhex("80cc0001 00000007"))


@pytest.mark.parametrize(
    "data",
    [
        b"\x80",
        bytes.fromhex("80c90002 00000001"),  # longer than the datagram
        bytes.fromhex("40c90001 00000001"),  # version 1
        bytes.fromhex("81c90001 00000001"),  # a report block that is not there
        bytes.fromhex("80c80001 00000001"),
        bytes.fromhex("a0c90001 000000ff"),  # padding beyond its packet
        bytes.fromhex("81ca0002 00000001 0109aaaa"),
        bytes.fromhex("81cd0001 00000001"),
    ],
)
def test_a_broken_packet_is_a_protocol_error(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        rtcp.parse(data)


@given(st.integers(-(2**30), 2**32 - 2**30).map(lambda s: s * 10**9 + 123_456_789))
def test_wall_clock_times_survive_ntp_within_a_nanosecond(unix_ns: int) -> None:
    if -2_208_988_800 + 2**31 <= unix_ns // 10**9 < 2**32 - 2_208_988_800 + 2**31:
        assert abs(rtcp.ntp_to_unix_ns(rtcp.unix_ns_to_ntp(unix_ns)) - unix_ns) <= 1


def test_the_ntp_epoch_is_1900() -> None:
    assert rtcp.unix_ns_to_ntp(0) == 2_208_988_800 << 32
    assert rtcp.middle_32(0x1122334455667788) == 0x33445566


def test_estimated_bit_rates_go_both_ways_to_18_bits_and_cut_ones_are_refused() -> None:
    for bitrate in (0, 1, 262_143, 262_144, 1_500_000, 7 * 10**12):
        packet = rtcp.ReceiverEstimatedBitrate(1, bitrate, (7, 8))
        (parsed,) = rtcp.parse(packet.pack())
        assert isinstance(parsed, rtcp.ReceiverEstimatedBitrate)
        assert (parsed.sender_ssrc, parsed.media_ssrcs) == (1, (7, 8))
        assert bitrate - bitrate / (1 << 17) <= parsed.bitrate_bps <= bitrate
    # draft-alvestrand-rmcat-remb-03 §2.2: num SSRC, BR Exp, BR Mantissa
    example = bytes.fromhex("8fce0005 00000001 00000000 52454d42 010bd8fd 00000007".replace(" ", ""))
    (parsed,) = rtcp.parse(example)
    assert isinstance(parsed, rtcp.ReceiverEstimatedBitrate)
    assert parsed.bitrate_bps == 0x3D8FD << 2
    with pytest.raises(ProtocolError, match="REMB"):
        rtcp.parse(bytes.fromhex("8fce0004 00000001 00000000 52454d42 020bd8fd".replace(" ", "")))
    assert rtcp.parse(bytes.fromhex("8fce0003 00000001 00000000 41424344".replace(" ", ""))) == []
