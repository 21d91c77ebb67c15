"""Audio payloads: AAC with its header section, Opus and G.711 as they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vms.media import Codec
from vms.wire.errors import ProtocolError
from vms.wire.payload import aac, audio
from vms.wire.payload.by_codec import PACKETIZERS


def test_an_aac_frame_follows_its_au_header() -> None:
    (payload,) = aac.packetize(b"f" * 371, 1388)
    assert payload[:2] == b"\x00\x10"  # AU-headers-length: 16 bits
    assert int.from_bytes(payload[2:4]) >> 3 == 371
    assert payload[3] & 7 == 0  # AU-Index
    assert payload[4:] == b"f" * 371


@given(st.binary(min_size=1, max_size=8191), st.integers(64, 1500))
def test_fragments_of_an_aac_frame_carry_its_whole_size(frame: bytes, max_payload: int) -> None:
    payloads = aac.packetize(frame, max_payload)
    assert {int.from_bytes(payload[2:4]) >> 3 for payload in payloads} == {len(frame)}
    assert b"".join(payload[4:] for payload in payloads) == frame
    assert max(map(len, payloads)) <= max_payload


def test_an_aac_frame_that_13_bits_cannot_count_is_refused() -> None:
    with pytest.raises(ProtocolError, match="8192"):
        aac.packetize(bytes(8192), 1388)


def test_opus_and_g711_travel_as_they_are() -> None:
    assert audio.packetize(b"x" * 160, 1388) == [b"x" * 160]


def test_audio_that_one_packet_cannot_carry_is_refused() -> None:
    with pytest.raises(ProtocolError, match="1500"):
        audio.packetize(bytes(1500), 1388)


def test_every_codec_has_a_payload_format() -> None:
    assert set(PACKETIZERS) == set(Codec)
