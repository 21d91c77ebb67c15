"""Received SRTP: only what is authentic and new gets through, across the roll-over of sequence numbers."""

import os

import pytest

from vms.wire import rtp
from vms.wire.webrtc.srtp import SrtpError, SrtpKeys, SrtpProfile, SrtpSession
from vms.wire.webrtc.srtp_receiver import MAX_SOURCES, SrtpReceiver

PROFILES = pytest.mark.parametrize("profile", list(SrtpProfile), ids=lambda profile: profile.name)
SSRC = 0x12345678


class Line:
    """A sender, and the receiver of what it sends."""

    def __init__(self, profile: SrtpProfile) -> None:
        key, salt = os.urandom(profile.key_bytes), os.urandom(profile.salt_bytes)
        self.sender = SrtpSession(SrtpKeys(profile, key, salt, b"k" * len(key), b"s" * len(salt))).rtp
        self.receiver = SrtpReceiver(SrtpKeys(profile, b"k" * len(key), b"s" * len(salt), key, salt))

    def packet(self, index: int, ssrc: int = SSRC, extension: bytes = b"") -> bytes:
        header = rtp.pack_header(96, index & 0xFFFF, 90 * index & 0xFFFFFFFF, ssrc, extension=extension)
        return b"".join(self.sender.protect(ssrc, index, [header], [b"payload %d" % index]))


@PROFILES
def test_packets_open_over_two_roll_overs_in_any_near_order(profile: SrtpProfile) -> None:
    line = Line(profile)
    order = [65534, 65536, 65535, 65537, *range(65538, 3 * 65536, 997)]
    for index in order:
        opened = line.receiver.open(line.packet(index))
        assert opened.endswith(b"payload %d" % index)
        assert rtp.parse(opened).sequence_number == index & 0xFFFF


@PROFILES
def test_a_header_extension_stays_in_the_clear_and_is_authenticated(profile: SrtpProfile) -> None:
    line = Line(profile)
    packet = line.packet(7, extension=rtp.pack_extensions({1: b"mid"}))
    changed = bytearray(packet)
    changed[17] ^= 1
    with pytest.raises(SrtpError, match="authentic"):
        line.receiver.open(bytes(changed))
    assert rtp.parse(line.receiver.open(packet)).payload_end > 12


@PROFILES
def test_a_packet_opens_once(profile: SrtpProfile) -> None:
    line = Line(profile)
    packets = [line.packet(index) for index in (10, 12, 11)]
    for packet in packets:
        line.receiver.open(packet)
    for packet in packets:
        with pytest.raises(SrtpError, match="before"):
            line.receiver.open(packet)
    line.receiver.open(line.packet(3000))
    with pytest.raises(SrtpError, match="before"):
        line.receiver.open(line.packet(13))


@PROFILES
def test_a_forged_packet_moves_nothing(profile: SrtpProfile) -> None:
    line = Line(profile)
    line.receiver.open(line.packet(10))
    forged = bytearray(line.packet(20_000))
    forged[-1] ^= 1
    with pytest.raises(SrtpError, match="authentic"):
        line.receiver.open(bytes(forged))
    line.receiver.open(line.packet(11))


@PROFILES
def test_forged_sources_cost_no_memory_and_authentic_ones_are_bounded(profile: SrtpProfile) -> None:
    line = Line(profile)
    for ssrc in range(100):
        with pytest.raises(SrtpError):
            line.receiver.open(bytes((0x80, 96, 0, 1, 0, 0, 0, 1)) + ssrc.to_bytes(4, "big") + os.urandom(40))
    for ssrc in range(MAX_SOURCES):
        line.receiver.open(line.packet(1, ssrc))
    with pytest.raises(SrtpError, match="more than"):
        line.receiver.open(line.packet(1, MAX_SOURCES))


@PROFILES
@pytest.mark.parametrize(
    "data",
    [b"", b"\x80", bytes(12), b"\x8f" + bytes(20), b"\x90" + bytes(11), b"\x90" + bytes(13) + b"\xff\xff"],
)
def test_a_packet_that_is_cut_short_is_refused(profile: SrtpProfile, data: bytes) -> None:
    with pytest.raises(SrtpError):
        Line(profile).receiver.open(data)


def test_keys_are_never_shown() -> None:
    keys = SrtpKeys(SrtpProfile.AEAD_AES_128_GCM, b"secretsecretsecr", bytes(12), bytes(16), bytes(12))
    assert "secret" not in repr(keys)
