"""Publishers' offers: what we take of them, and what the answer says."""

import pytest

from vms.media import Codec
from vms.wire.sdp import SessionDescription
from vms.wire.webrtc.dtls import Fingerprint
from vms.wire.webrtc.negotiation import LocalTransport, NegotiationError, RemoteOffer
from vms.wire.webrtc.reception import choose_incoming, write_reception_answer

HEAD = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n"
    "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=setup:actpass\r\n"
    "a=fingerprint:sha-256 " + ":".join(["AA"] * 32) + "\r\n"
)
AUDIO = (
    "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=rtcp-mux\r\na=sendonly\r\na=rtpmap:111 opus/48000/2\r\n"
)
VIDEO = "m=video 9 UDP/TLS/RTP/SAVPF {types}\r\na=mid:1\r\na=rtcp-mux\r\na=sendonly\r\n"
VP8 = "a=rtpmap:96 VP8/90000\r\n"
HIGH = "a=rtpmap:97 H264/90000\r\na=fmtp:97 packetization-mode=1;profile-level-id=640c1f\r\n"
BASE = (
    "a=rtpmap:98 H264/90000\r\n"
    "a=fmtp:98 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n"
    "a=rtcp-fb:98 nack\r\na=rtcp-fb:98 nack pli\r\na=rtcp-fb:98 goog-remb\r\na=rtcp-fb:98 transport-cc\r\n"
    "a=rtpmap:99 rtx/90000\r\na=fmtp:99 apt=98\r\n"
)
MODE_0 = "a=rtpmap:97 H264/90000\r\na=fmtp:97 packetization-mode=0;profile-level-id=42e01f\r\n"
H265 = "a=rtpmap:100 H265/90000\r\n"
LOCAL = LocalTransport("ufrag", "password", Fingerprint("sha-256", "BB"), [], "us")


def offer(types: str, lines: str) -> RemoteOffer:
    return RemoteOffer.parse(HEAD + AUDIO + VIDEO.format(types=types) + lines)


def test_constrained_baseline_with_repairs_is_preferred_and_sound_is_opus() -> None:
    video, audio = choose_incoming(offer("96 97 98 99 100", VP8 + HIGH + BASE + H265))
    assert (video.codec, video.payload_type, video.rtx_payload_type) == (Codec.H264, 98, 99)
    assert video.feedback == ("nack", "nack pli", "goog-remb")
    assert "profile-level-id=42e034" in video.parameters  # any level, which asymmetry allows
    assert (audio.codec, audio.payload_type, audio.channels) == (Codec.OPUS, 111, 2)


def test_a_level_stays_as_offered_where_the_publisher_allows_no_other() -> None:
    video, _ = choose_incoming(offer("97", HIGH))
    assert "profile-level-id=640c1f" in video.parameters
    assert video.rtx_payload_type is None


def test_h265_is_taken_where_there_is_no_h264() -> None:
    video, _ = choose_incoming(offer("96 100", VP8 + H265))
    assert (video.codec, video.payload_type) == (Codec.H265, 100)


@pytest.mark.parametrize(("types", "lines"), [("96", VP8), ("97", MODE_0)])
def test_an_offer_without_video_that_we_take_is_refused(types: str, lines: str) -> None:
    with pytest.raises(NegotiationError, match=r"H\.264"):
        choose_incoming(offer(types, lines))


def test_a_section_that_wants_to_receive_is_none_that_sends() -> None:
    text = HEAD + AUDIO + (VIDEO.format(types="98 99") + BASE).replace("sendonly", "recvonly")
    with pytest.raises(NegotiationError, match=r"H\.264"):
        choose_incoming(RemoteOffer.parse(text))


def test_the_answer_receives_what_was_chosen_and_refuses_the_rest() -> None:
    parsed = offer("96 98 99", VP8 + BASE)
    video = choose_incoming(parsed)[:1]
    answer = SessionDescription.parse(write_reception_answer(parsed, LOCAL, video))
    audio_section, video_section = answer.media
    assert answer.values("group") == ["BUNDLE 1"]
    assert (audio_section.port, audio_section.has("inactive")) == (0, True)
    assert video_section.formats == ["98", "99"]
    assert video_section.has("recvonly")
    assert video_section.attribute("setup") == "passive"
    assert video_section.fmtp(99) == {"apt": "98"}
    assert video_section.values("rtcp-fb") == ["98 nack", "98 nack pli", "98 goog-remb"]
