"""Offers as browsers make them, and our answers."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vms.wire.errors import ProtocolError
from vms.wire.sdp import SessionDescription
from vms.wire.webrtc.addresses import interface_addresses
from vms.wire.webrtc.dtls import Fingerprint
from vms.wire.webrtc.negotiation import (
    ABS_CAPTURE_TIME,
    PLAYOUT_DELAY,
    LocalTransport,
    NegotiationError,
    Outgoing,
    RemoteOffer,
    write_answer,
)

# Chromium 156, receive-only video and audio, shortened to what matters here.
CHROMIUM = """v=0
o=- 8007792560116320742 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
a=extmap-allow-mixed
a=msid-semantic: WMS
m=video 9 UDP/TLS/RTP/SAVPF 96 102 103 104 108 116 41
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=ice-ufrag:thRo
a=ice-pwd:GVvyyeRAbrS3UQT/euwQLIEs
a=ice-options:trickle
a=fingerprint:sha-256 B5:B1:49:20:0F:4B:7C:AF:33:1A:47:33:5A:A9:3F:31:44:84:1F:2A:7A:A5:A1:57:1E:34:FC:60:C1:26:BF:9E
a=setup:actpass
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:toffset
a=extmap:5 http://www.webrtc.org/experiments/rtp-hdrext/playout-delay
a=extmap:9 urn:ietf:params:rtp-hdrext:sdes:mid
a=recvonly
a=rtcp-mux
a=rtcp-rsize
a=rtcp-xr:rcvr-rtt=all
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 nack
a=rtpmap:102 H264/90000
a=rtcp-fb:102 goog-remb
a=rtcp-fb:102 transport-cc
a=rtcp-fb:102 ccm fir
a=rtcp-fb:102 nack
a=rtcp-fb:102 nack pli
a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f
a=rtpmap:103 rtx/90000
a=fmtp:103 apt=102
a=rtpmap:104 H264/90000
a=fmtp:104 level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=64001f
a=rtpmap:108 H264/90000
a=fmtp:108 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f
a=rtpmap:116 H264/90000
a=fmtp:116 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=4d001f
a=rtpmap:41 H264/90000
a=fmtp:41 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=f4001f
m=audio 9 UDP/TLS/RTP/SAVPF 111 0 8
c=IN IP4 0.0.0.0
a=ice-ufrag:thRo
a=ice-pwd:GVvyyeRAbrS3UQT/euwQLIEs
a=fingerprint:sha-256 B5:B1:49:20:0F:4B:7C:AF:33:1A:47:33:5A:A9:3F:31:44:84:1F:2A:7A:A5:A1:57:1E:34:FC:60:C1:26:BF:9E
a=setup:actpass
a=mid:1
a=recvonly
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
"""

LOCAL = LocalTransport(
    "ouru",
    "ourpassword0123456789",
    Fingerprint("sha-256", "AA:BB"),
    [(found.address, 8189) for found in interface_addresses()[:1]],
    "porch",
)


def answer(text: str, *, audio: bool = True) -> SessionDescription:
    offer = RemoteOffer.parse(text)
    video = offer.h264("42")
    assert video is not None
    outgoing = [Outgoing(video, 1111)]
    sound = offer.audio("PCMA", 8000, 1)
    if audio and sound is not None:
        outgoing.append(Outgoing(sound, 2222))
    return SessionDescription.parse(write_answer(offer, LOCAL, outgoing))


def test_the_transport_of_a_browser_offer_is_read() -> None:
    offer = RemoteOffer.parse(CHROMIUM)
    assert offer.ice_ufrag == "thRo"
    assert offer.bundle == ("0", "1")
    assert [fingerprint.algorithm for fingerprint in offer.fingerprints] == ["sha-256"]


@pytest.mark.parametrize(
    ("profile", "payload_type"),
    [("42", 102), ("4d", 116), ("64", 116), ("f4", 41), ("58", 116)],
)
def test_profiles_are_matched_leniently_and_444_comes_last(profile: str, payload_type: int) -> None:
    send = RemoteOffer.parse(CHROMIUM).h264(profile)
    assert send is not None
    assert send.payload_type == payload_type
    assert "packetization-mode=1" in send.parameters


def test_h264_that_is_only_offered_in_packetization_mode_0_is_not_taken() -> None:
    text = CHROMIUM.replace("packetization-mode=1", "packetization-mode=0")
    assert RemoteOffer.parse(text).h264("42") is None


def test_audio_that_needs_conversion_is_not_taken() -> None:
    offer = RemoteOffer.parse(CHROMIUM)
    assert offer.audio("PCMU", 8000, 1) is not None
    opus = offer.audio("opus", 48000, 2)
    assert opus is not None
    assert opus.encoding == "opus/48000/2"
    assert offer.audio("PCMU", 16000, 1) is None
    assert offer.audio("MPEG4-GENERIC", 48000, 2) is None


def test_the_answer_is_ice_lite_passive_and_sends_only() -> None:
    described = answer(CHROMIUM)
    assert described.has("ice-lite")
    assert described.attribute("group") == "BUNDLE 0 1"
    video, audio = described.media
    for section in (video, audio):
        assert section.attribute("setup") == "passive"
        assert section.has("sendonly")
        assert section.has("rtcp-mux")
        assert section.attribute("ice-pwd") == "ourpassword0123456789"
    assert video.formats == ["102"]
    assert video.values("rtcp-fb") == ["102 nack", "102 nack pli", "102 ccm fir", "102 goog-remb"]
    assert video.attribute("extmap") == f"5 {PLAYOUT_DELAY}"
    assert video.attribute("rtcp-xr") == "rcvr-rtt=all"
    assert audio.formats == ["8"]
    assert not audio.has("rtcp-rsize")
    assert re.fullmatch(r"1 1 udp \d+ \S+ 8189 typ host", video.attribute("candidate") or "")


def test_feedback_for_all_formats_and_capture_time_are_taken_when_offered() -> None:
    text = CHROMIUM.replace(
        "a=mid:0\n", f"a=mid:0\na=rtcp-fb:* rrtr\na=extmap:3/recvonly {ABS_CAPTURE_TIME}\n"
    )
    send = RemoteOffer.parse(text).h264("42")
    assert send is not None
    assert send.feedback == ("nack", "nack pli", "ccm fir", "goog-remb", "rrtr")
    assert send.extensions == {ABS_CAPTURE_TIME: 3, PLAYOUT_DELAY: 5}


def test_retransmissions_get_the_payload_type_that_names_the_chosen_format_and_an_ssrc_of_their_own() -> None:
    offer = RemoteOffer.parse(CHROMIUM)
    send = offer.h264("42")
    assert send is not None
    assert (send.payload_type, send.rtx_payload_type) == (102, 103)
    (video, *_) = SessionDescription.parse(write_answer(offer, LOCAL, [Outgoing(send, 1111, 3333)])).media
    assert video.formats == ["102", "103"]
    rtpmap = video.rtpmap(103)
    assert rtpmap is not None
    assert (rtpmap.encoding_name, rtpmap.clock_rate) == ("rtx", 90_000)
    assert video.fmtp(103) == {"apt": "102"}
    assert video.attribute("ssrc-group") == "FID 1111 3333"
    assert video.values("ssrc") == ["1111 cname:porch", "3333 cname:porch"]


@pytest.mark.parametrize(
    ("old", "new"), [("apt=102", "apt=99"), ("rtx/90000", "rtx/8000"), (" nack\n", " other\n")]
)
def test_retransmissions_are_not_sent_where_they_were_not_offered_for_the_format(old: str, new: str) -> None:
    send = RemoteOffer.parse(CHROMIUM.replace(old, new)).h264("42")
    assert send is not None
    assert send.rtx_payload_type is None


def test_a_section_that_is_not_sent_is_refused_and_leaves_the_bundle() -> None:
    described = answer(CHROMIUM, audio=False)
    assert described.attribute("group") == "BUNDLE 0"
    assert [section.port for section in described.media] == [9, 0]
    data = CHROMIUM.replace("BUNDLE 0 1", "BUNDLE 0 1 2") + (
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\na=mid:2\na=sctp-port:5000\n"
    )
    assert [section.port for section in answer(data).media] == [9, 9, 0]


@pytest.mark.parametrize("direction", ["sendonly", "inactive"])
def test_a_section_that_does_not_receive_is_left_alone(direction: str) -> None:
    assert RemoteOffer.parse(CHROMIUM.replace("a=recvonly", f"a={direction}")).h264("42") is None


@pytest.mark.parametrize("number", ["0", "15", "000199999", "0001" + "9" * 5000, "x"])
def test_an_extension_number_beyond_one_byte_headers_is_not_taken(number: str) -> None:
    send = RemoteOffer.parse(CHROMIUM.replace("extmap:5", f"extmap:{number}")).h264("42")
    assert send is not None
    assert send.extensions == {}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("a=ice-ufrag:thRo\n", "", "ice-ufrag"),
        ("a=ice-ufrag:thRo\n", "a=ice-ufrag:a b\n", "ice-ufrag"),
        ("a=ice-pwd:GVvyyeRAbrS3UQT/euwQLIEs\n", "a=ice-pwd:short\n", "ice-pwd"),
        ("a=setup:actpass", "a=setup:passive", "setup"),
        ("a=rtcp-mux\n", "", "rtcp-mux"),
        ("a=fingerprint:sha-256", "a=fingerprint:sha-1", "fingerprint"),
        ("a=mid:1", "a=mid:0", "mid"),
        ("a=group:BUNDLE 0 1", "a=group:\na=group\na=group:BUNDLE x", "BUNDLE"),
        ("a=mid:1", "a=mid:<script>", "mid"),
        ("BUNDLE 0 1", "BUNDLE x", "BUNDLE"),
        ("m=video", "x=video", "media sections|ice-ufrag"),
    ],
)
def test_an_offer_that_cannot_be_answered_says_which_line_is_wrong(old: str, new: str, says: str) -> None:
    text = CHROMIUM.replace(old, new)
    if old == "m=video":
        text = text.partition("x=video")[0]
    with pytest.raises(NegotiationError, match=says):
        RemoteOffer.parse(text)


@given(st.lists(st.sampled_from(CHROMIUM.splitlines(keepends=True)), max_size=60), st.integers(0, 3))
def test_any_mixture_of_offer_lines_gives_an_answer_or_a_typed_error(lines: list[str], repeats: int) -> None:
    text = CHROMIUM * repeats + "".join(lines)
    try:
        offer = RemoteOffer.parse(text)
    except ProtocolError:
        return
    send = offer.h264("42")
    if send is not None:
        SessionDescription.parse(write_answer(offer, LOCAL, [Outgoing(send, 1)]))


def test_a_transport_does_not_show_its_password() -> None:
    local = LocalTransport("ours", "the password", Fingerprint("sha-256", "AB"), [], "x")
    assert "the password" not in repr(local)
