import pytest
from hypothesis import given
from hypothesis import strategies as st

from vms.wire.errors import ProtocolError
from vms.wire.sdp import MAX_TEXT_SIZE, Attribute, MediaDescription, RtpMap, SessionDescription

# The shape of a Hikvision camera's answer, bare line feeds and all.
CAMERA = """v=0
o=- 1109162014219182 1109162014219192 IN IP4 0.0.0.0
s=Media Presentation
e=NONE
b=AS:5100
t=0 0
a=control:*
m=video 0 RTP/AVP 96
b=AS:5000
a=recvonly
a=control:trackID=1
a=rtpmap:96 H264/90000
a=fmtp:96 profile-level-id=420029; packetization-mode=1; sprop-parameter-sets=Z00AKpWoHgCJ+WE=,aO48gA==
m=audio 0 RTP/AVP 8
a=control:trackID=2
m=application 0 RTP/AVP 107
a=rtpmap:107 vnd.onvif.metadata/90000
"""


def test_a_cameras_description_is_read() -> None:
    session = SessionDescription.parse(CAMERA)
    assert session.attribute("control") == "*"
    assert session.bandwidths == ["AS:5100"]
    video, audio, application = session.media
    assert (video.kind, video.port, video.protocol, video.payload_types) == ("video", 0, "RTP/AVP", [96])
    assert video.rtpmap(96) == RtpMap(96, "H264", 90_000)
    assert video.fmtp(96)["sprop-parameter-sets"] == "Z00AKpWoHgCJ+WE=,aO48gA=="
    assert video.fmtp(96)["packetization-mode"] == "1"
    assert video.has("recvonly")
    assert audio.rtpmap(8) == RtpMap(8, "PCMA", 8000), "static payload types need no rtpmap"
    assert audio.rtpmap(9) is None
    assert application.kind == "application"


def test_line_ends_order_and_stray_lines_do_not_matter() -> None:
    text = "\r\nv=0\r\n\r\nstray\r\nt=0 0\r\nm=video 49170/2 RTP/AVP 31\0\r\n a=x: y \r\n"
    session = SessionDescription.parse(text.encode())
    assert session.media[0].port == 49170
    assert session.media[0].attribute("x") == "y"


texts = st.text(st.characters(codec="ascii", exclude_categories=["C", "Z"]), min_size=1, max_size=12)
attributes = st.lists(
    st.builds(Attribute, texts.map(lambda text: text.replace(":", "_")), st.none() | texts), max_size=5
)
sections = st.builds(
    MediaDescription,
    st.sampled_from(["video", "audio"]),
    st.integers(0, 65535),
    st.sampled_from(["RTP/AVP", "UDP/TLS/RTP/SAVPF"]),
    st.lists(st.integers(0, 127).map(str), min_size=1, max_size=4),
    st.none() | st.just("IN IP4 0.0.0.0"),
    st.lists(st.just("AS:500"), max_size=2),
    attributes,
)


@given(attributes, st.lists(sections, max_size=4))
def test_what_is_written_is_read(of_session: list[Attribute], of_media: list[MediaDescription]) -> None:
    session = SessionDescription(attributes=of_session, media=of_media, connection="IN IP4 0.0.0.0")
    assert SessionDescription.parse(str(session)) == session


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\r\n\r\n",
        "<html>",
        "v=0\nm=video\n",
        "v=0\nm=video x RTP/AVP 96\n",
        "v=0\nm=video 70000 RTP/AVP 96\n",
        "v=0\n" + "m=video 0 RTP/AVP 96\n" * 65,
        "v=0\n" + "a=x\n" * 2001,
        "v=0\nm=video 0 RTP/AVP" + " 96" * 129,
        "v=0\n" + "x" * MAX_TEXT_SIZE,
    ],
)
def test_what_is_no_description_is_a_protocol_error(text: str) -> None:
    with pytest.raises(ProtocolError):
        SessionDescription.parse(text)


@pytest.mark.parametrize(
    "value", ["", "96", "96 H264", "96 H264/x", "96 H264/0", "x H264/90000", "96 /1/2/3"]
)
def test_an_rtpmap_that_makes_no_sense_is_none_at_all(value: str) -> None:
    media = SessionDescription.parse(f"v=0\nm=video 0 RTP/AVP 96\na=rtpmap:{value}\n").media[0]
    assert media.rtpmap(96) in (None, RtpMap(96, "", 1, 2))


def test_payload_types_are_each_told_once_whatever_is_written() -> None:
    media = MediaDescription("video", 0, "RTP/AVP", ["96", "96", "x", "128", "9" * 5000, "97"])
    assert media.payload_types == [96, 97]


def test_format_parameters_are_those_of_their_payload_type() -> None:
    media = MediaDescription("audio", 0, "RTP/AVP", ["96", "97"])
    media.add("fmtp", "96 A=1;b; c = d=e ;")
    media.add("fmtp", "97 a=2")
    assert media.fmtp(96) == {"a": "1", "b": "", "c": "d=e"}
    assert media.fmtp(97) == {"a": "2"}
    assert media.fmtp(9) == {}


def test_header_extensions_are_found_by_their_names() -> None:
    media = MediaDescription("video", 0, "RTP/AVP", ["96"])
    media.add("extmap", "1 http://example.org/time")
    media.add("extmap", "2/sendonly urn:example:unit with attributes")
    media.add("extmap", "x urn:example:other")
    media.add("extmap", "")
    assert media.header_extension("http://example.org/time") == 1
    assert media.header_extension("urn:example:unit") == 2
    assert media.header_extension("urn:example:other") is None
    assert media.header_extension("urn:example") is None
