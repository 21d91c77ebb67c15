"""Descriptions that the server gives, read back by the parser that the client uses."""

import pytest
from tests.wire.scripted_feed import PPS, SPS, VIDEO

from vms.format.codecs import audio_track
from vms.media import Codec, Track
from vms.wire.rtsp import server_description
from vms.wire.rtsp.server_feed import FeedLine
from vms.wire.sdp import MediaDescription, SessionDescription


def described(track: Track) -> MediaDescription:
    line = FeedLine(track, server_description.payload_type(track.codec, 1), 1)
    return SessionDescription.parse(server_description.describe([line])).media[0]


def test_h264_carries_profile_and_parameter_sets() -> None:
    media = described(VIDEO)
    assert media.rtpmap(97) == (97, "H264", 90_000, 1)
    parameters = media.fmtp(97)
    assert parameters["packetization-mode"] == "1"
    assert parameters["profile-level-id"] == SPS[1:4].hex()
    assert [len(text) for text in parameters["sprop-parameter-sets"].split(",")] == [
        -(-len(nal) // 3) * 4 for nal in (SPS, PPS)
    ]


def test_h265_groups_its_parameter_sets_by_kind() -> None:
    sets = (b"\x40\x01vps", b"\x42\x01sps", b"\x44\x01pps", b"\x44\x01pp2")
    parameters = described(Track(1, Codec.H265, 90_000, sets)).fmtp(97)
    assert [parameters[name].count(",") for name in ("sprop-vps", "sprop-sps", "sprop-pps")] == [0, 0, 1]


def test_aac_names_its_mode_and_configuration() -> None:
    media = described(audio_track(1, Codec.AAC, sample_rate=48_000, channels=2))
    assert media.rtpmap(97) == (97, "MPEG4-GENERIC", 48_000, 2)
    parameters = media.fmtp(97)
    assert (parameters["mode"], parameters["sizelength"], parameters["indexdeltalength"]) == (
        "AAC-hbr",
        "13",
        "3",
    )
    assert parameters["config"] == "1190"


@pytest.mark.parametrize(
    ("codec", "rate", "payload_type", "encoding"),
    [
        (Codec.PCMU, 8000, 0, ("PCMU", 8000, 1)),
        (Codec.PCMA, 8000, 8, ("PCMA", 8000, 1)),
        (Codec.OPUS, 48_000, 97, ("opus", 48_000, 2)),
    ],
)
def test_audio_by_its_registered_name(
    codec: Codec, rate: int, payload_type: int, encoding: tuple[str, int, int]
) -> None:
    media = described(audio_track(1, codec, sample_rate=rate, channels=1))
    assert media.rtpmap(payload_type) == (payload_type, *encoding)
