import pytest
from hypothesis import given
from hypothesis import strategies as st

from vms.wire.errors import ProtocolError
from vms.wire.rtsp.transport import RtpInfo, TransportSpec, parse_rtp_info, parse_session

pairs = st.none() | st.tuples(st.integers(0, 255), st.integers(0, 255))


@given(st.booleans(), pairs, pairs, st.none() | st.integers(0, 2**32 - 1))
def test_a_transport_comes_back(
    multicast: bool, client: tuple[int, int] | None, server: tuple[int, int] | None, ssrc: int | None
) -> None:
    spec = TransportSpec(
        tcp=False, client_port=client, server_port=server, ssrc=ssrc, multicast=multicast, source="192.0.2.1"
    )
    assert TransportSpec.parse(str(spec)) == spec


def test_the_first_transport_that_is_rtp_is_taken() -> None:
    spec = TransportSpec.parse(
        'RAW/RAW/UDP;unicast, RTP/AVP/TCP;unicast;interleaved=4-5;ssrc=1A2b;mode="PLAY"'
    )
    assert spec == TransportSpec(tcp=True, interleaved=(4, 5), ssrc=0x1A2B)


def test_a_single_channel_means_the_next_one_for_reports() -> None:
    assert TransportSpec.parse("RTP/AVP/TCP;interleaved=2").interleaved == (2, 3)
    assert TransportSpec.parse("RTP/AVP;unicast;server_port=5000").server_port == (5000, 5001)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "RAW",
        "RTP/AVP/TCP;interleaved=256-257",
        "RTP/AVP;client_port=x-y",
    ],
)
def test_a_transport_that_makes_no_sense_is_a_protocol_error(text: str) -> None:
    with pytest.raises(ProtocolError):
        TransportSpec.parse(text)


@pytest.mark.parametrize(
    ("value", "parsed"),
    [
        ("12345", ("12345", 60.0)),
        ("ab;timeout=30", ("ab", 30.0)),
        ("ab; Timeout = 90 ; x", ("ab", 90.0)),
        ("ab;timeout=0", ("ab", 60.0)),
        ("ab;timeout=x", ("ab", 60.0)),
    ],
)
def test_a_session_has_an_id_and_a_timeout(value: str, parsed: tuple[str, float]) -> None:
    assert parse_session(value) == parsed


def test_a_session_without_an_id_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError):
        parse_session(";timeout=5")


def test_rtp_info_is_read_even_where_urls_hold_commas_and_semicolons() -> None:
    value = "url=rtsp://h/a,b/1;seq=5;rtptime=90,url=rtsp://h/2?x;y=1;seq=7, url=3;rtptime=4294967295"
    entries = parse_rtp_info(value)
    assert entries[0] == RtpInfo("rtsp://h/a,b/1", 5, 90)
    assert entries[1].sequence_number == 7
    assert entries[2] == RtpInfo("3", None, 0xFFFFFFFF)
    assert parse_rtp_info(str(entries[0])) == [entries[0]]
    assert parse_rtp_info("") == []
