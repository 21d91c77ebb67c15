import pytest

from vms.media import Codec, MediaKind
from vms.wire.rtsp.media_line import base_url, control_url, media_lines
from vms.wire.rtsp.message import Headers
from vms.wire.sdp import SessionDescription

BASE = "rtsp://192.0.2.10/stream1"


@pytest.mark.parametrize(
    ("control", "base", "url"),
    [
        (None, BASE, BASE),
        ("*", BASE, BASE),
        ("trackID=1", BASE, f"{BASE}/trackID=1"),
        ("trackID=1", f"{BASE}/", f"{BASE}/trackID=1"),
        ("rtsp://10.0.0.1/t", BASE, "rtsp://10.0.0.1/t"),
        ("RTSP://10.0.0.1/t", BASE, "RTSP://10.0.0.1/t"),
        ("/stream1/trackID=1", BASE, f"{BASE}/trackID=1"),
        ("/trackID=1", BASE, f"{BASE}/trackID=1"),
        ("?track=1", BASE, f"{BASE}?track=1"),
        # Dahua puts the query before the track, and its Content-Base ends in a slash behind it.
        ("trackID=0", "rtsp://h/cam?channel=1&subtype=0", "rtsp://h/cam?channel=1&subtype=0/trackID=0"),
        ("trackID=0", "rtsp://h/cam?channel=1/", "rtsp://h/cam?channel=1/trackID=0"),
    ],
)
def test_a_control_attribute_is_resolved_as_cameras_mean_it(control: str | None, base: str, url: str) -> None:
    assert control_url(control, base) == url


def test_the_base_is_content_base_then_content_location_then_the_request() -> None:
    both = Headers([("Content-Location", "rtsp://h/location"), ("content-base", "rtsp://h/base/")])
    assert base_url(both, BASE) == "rtsp://h/base/"
    assert base_url(Headers([("Content-Location", "rtsp://h/location")]), BASE) == "rtsp://h/location"
    assert base_url(Headers([("Content-Base", "/relative")]), BASE) == BASE


def describe(*lines: str) -> str:
    return "v=0\r\n" + "\r\n".join(lines) + "\r\n"


def lines_of(*text: str):  # type: ignore[no-untyped-def]
    return media_lines(SessionDescription.parse(describe(*text)), BASE)


def test_every_codec_is_known_by_its_rtp_name() -> None:
    lines = lines_of(
        "m=application 0 RTP/AVP 107",
        "m=video 0 RTP/AVP 96",
        "a=rtpmap:96 h264/90000",
        "a=fmtp:96 sprop-parameter-sets=Z00AKg==,aO48gA==",
        "a=control:1",
        "m=video 0 RTP/AVP 97",
        "a=rtpmap:97 H265/90000",
        "a=fmtp:97 sprop-pps=RAE=;sprop-vps=QAEM;sprop-sps=QgEB",
        "m=audio 0 RTP/AVP 98",
        "a=rtpmap:98 mpeg4-generic/48000/2",
        "a=fmtp:98 config=1190;SizeLength=13;IndexLength=3;IndexDeltaLength=3",
        "m=audio 0 RTP/AVP 0",
        "m=audio 0 RTP/AVP 8",
        "m=audio 0 RTP/AVP 99",
        "a=rtpmap:99 opus/48000/2",
    )
    assert [line.codec for line in lines] == [
        Codec.H264,
        Codec.H265,
        Codec.AAC,
        Codec.PCMU,
        Codec.PCMA,
        Codec.OPUS,
    ]
    assert [line.index for line in lines] == [1, 2, 3, 4, 5, 6]
    assert lines[0].control == f"{BASE}/1"
    assert lines[0].parameter_sets == (bytes.fromhex("674d002a"), bytes.fromhex("68ee3c80"))
    assert lines[1].parameter_sets == (b"\x40\x01\x0c", b"\x42\x01\x01", b"\x44\x01")
    assert lines[2].parameter_sets == (b"\x11\x90",)
    assert (lines[2].clock_rate, lines[2].channels) == (48_000, 2)
    assert (lines[3].kind, lines[3].clock_rate) == (MediaKind.AUDIO, 8000)


@pytest.mark.parametrize(
    "text",
    [
        ["m=video 0 RTP/AVP 26", "a=rtpmap:26 JPEG/90000"],
        ["m=video 0 RTP/AVP 35"],
        ["m=video 0 RTP/AVP"],
        ["m=video 0 RTP/AVP 96", "a=rtpmap:96 H264/90000", "a=fmtp:96 packetization-mode=2"],
        ["m=video 0 RTP/AVP 96", "a=rtpmap:96 H265/90000", "a=fmtp:96 sprop-max-don-diff=3"],
        ["m=audio 0 RTP/AVP 96", "a=rtpmap:96 MPEG4-GENERIC/44100", "a=fmtp:96 mode=AAC-hbr"],
        ["m=audio 0 RTP/AVP 96", "a=rtpmap:96 H264/90000"],
    ],
)
def test_a_line_that_cannot_be_received_says_why(text: list[str]) -> None:
    (line,) = lines_of(*text)
    assert line.codec is None
    assert line.unsupported


def test_of_several_payload_types_the_first_that_we_know_is_taken() -> None:
    (line,) = lines_of("m=video 0 RTP/AVP 26 96", "a=rtpmap:26 JPEG/90000", "a=rtpmap:96 H264/90000")
    assert (line.codec, line.payload_type) == (Codec.H264, 96)


def test_parameter_sets_that_are_no_base64_or_have_start_codes_are_put_right() -> None:
    (line,) = lines_of(
        "m=video 0 RTP/AVP 96",
        "a=rtpmap:96 H264/90000",
        'a=fmtp:96 sprop-parameter-sets="AAAAAWdNACo=,é,,aO48gA"',
    )
    assert line.parameter_sets == (bytes.fromhex("674d002a"), bytes.fromhex("68ee3c80"))
