"""SRTP and SRTCP: the standard's vectors, libsrtp on the other side, forgeries and repeats."""

import os

import pytest
from bench._viewer import LIBSRTP_PROFILES
from pylibsrtp import Error, Policy, Session

from vms.wire import rtcp, rtp
from vms.wire.webrtc.srtp import MAX_RTCP_SOURCES, SrtpError, SrtpKeys, SrtpProfile, SrtpSession, derive

SSRC = 0x12345678

both_profiles = pytest.mark.parametrize("profile", list(SrtpProfile), ids=lambda profile: profile.name)


def sessions(profile: SrtpProfile) -> tuple[SrtpSession, Session, Session]:
    """Ours, and libsrtp's receiver and sender with the same keys."""
    exported = os.urandom(2 * (profile.key_bytes + profile.salt_bytes))
    keys = SrtpKeys.of_server(profile, exported)
    libsrtp = LIBSRTP_PROFILES[profile]
    receiver = Policy(keys.local_key + keys.local_salt, Policy.SSRC_ANY_INBOUND, srtp_profile=libsrtp)
    sender = Policy(keys.remote_key + keys.remote_salt, Policy.SSRC_ANY_OUTBOUND, srtp_profile=libsrtp)
    return SrtpSession(keys), Session(receiver), Session(sender)


def test_keys_are_derived_as_in_rfc_3711_appendix_b3() -> None:
    key = bytes.fromhex("E1F97A0D3E018BE0D64FA32C06DE4139")
    salt = bytes.fromhex("0EC675AD498AFEEBB6960B3AABE6")
    assert derive(key, salt, 0, 16).hex().upper() == "C61E7A93744F39EE10734AFE3FF7A087"
    assert derive(key, salt, 2, 14).hex().upper() == "30CBBC08863D8C85D49DB34A9AE1"
    assert derive(key, salt, 1, 20).hex().upper() == "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"


@both_profiles
def test_libsrtp_opens_our_rtp_over_the_wrap_of_the_sequence_number(profile: SrtpProfile) -> None:
    ours, receiver, _ = sessions(profile)
    # libsrtp follows the rollover counter only as packets lead it there
    for start in sorted({*range(0x100, 0x40000, 0x3FF0), 0xFFFF, 0x1FFFF}):
        headers = [
            rtp.pack_header(96, index & 0xFFFF, 1000, SSRC, extension=rtp.pack_extensions({5: b"abc"}))
            for index in (start, start + 1)
        ]
        payloads = [os.urandom(1100), os.urandom(7)]
        buffers = ours.rtp.protect(SSRC, start, headers, payloads)
        for at in (0, 1):
            packet = buffers[2 * at] + buffers[2 * at + 1]
            assert len(packet) == len(headers[at]) + len(payloads[at]) + ours.rtp.overhead
            assert receiver.unprotect(packet) == headers[at] + payloads[at]


@both_profiles
def test_rtcp_goes_both_ways_with_libsrtp(profile: SrtpProfile) -> None:
    ours, receiver, sender = sessions(profile)
    report = rtcp.pack([rtcp.SenderReport(SSRC, 1 << 33, 5, 6, 7), rtcp.SourceDescription(SSRC, "porch")])
    for _ in range(3):
        assert receiver.unprotect_rtcp(ours.protect_rtcp(report)) == report
        assert ours.open_rtcp(sender.protect_rtcp(report)) == report


@both_profiles
def test_a_forged_or_cut_rtcp_packet_is_refused(profile: SrtpProfile) -> None:
    ours, _, sender = sessions(profile)
    packet = sender.protect_rtcp(rtcp.pack([rtcp.PictureLossIndication(1, SSRC)]))
    for at in range(len(packet)):
        forged = bytearray(packet)
        forged[at] ^= 1
        with pytest.raises(SrtpError):
            ours.open_rtcp(bytes(forged))
        with pytest.raises(SrtpError):
            ours.open_rtcp(packet[:at])


@both_profiles
def test_an_rtcp_packet_is_taken_once_and_late_ones_within_the_window(profile: SrtpProfile) -> None:
    ours, _, sender = sessions(profile)
    packets = [sender.protect_rtcp(rtcp.pack([rtcp.PictureLossIndication(1, at)])) for at in range(300)]
    for packet in packets[:10]:
        ours.open_rtcp(packet)
    with pytest.raises(SrtpError, match="before"):
        ours.open_rtcp(packets[9])
    ours.open_rtcp(packets[200])
    ours.open_rtcp(packets[190])
    with pytest.raises(SrtpError, match="before"):
        ours.open_rtcp(packets[190])
    with pytest.raises(SrtpError, match="before"):
        ours.open_rtcp(packets[20])


@both_profiles
def test_each_source_of_a_peer_counts_its_rtcp_for_itself_and_sources_are_bounded(
    profile: SrtpProfile,
) -> None:
    ours, _, sender = sessions(profile)
    for ssrc in (1, 2, 3):
        packets = [sender.protect_rtcp(rtcp.pack([rtcp.PictureLossIndication(ssrc, at)])) for at in range(5)]
        for packet in packets:
            ours.open_rtcp(packet)
        with pytest.raises(SrtpError, match="before"):
            ours.open_rtcp(packets[0])
    for ssrc in range(4, MAX_RTCP_SOURCES + 1):
        ours.open_rtcp(sender.protect_rtcp(rtcp.pack([rtcp.PictureLossIndication(ssrc, 0)])))
    with pytest.raises(SrtpError, match="more than"):
        ours.open_rtcp(sender.protect_rtcp(rtcp.pack([rtcp.PictureLossIndication(1000, 0)])))


@both_profiles
def test_a_forged_packet_does_not_use_up_the_index_of_the_real_one(profile: SrtpProfile) -> None:
    ours, _, sender = sessions(profile)
    packet = sender.protect_rtcp(rtcp.pack([rtcp.PictureLossIndication(1, SSRC)]))
    with pytest.raises(SrtpError):
        ours.open_rtcp(packet[:10] + bytes((packet[10] ^ 1,)) + packet[11:])
    assert ours.open_rtcp(packet)


def test_libsrtp_refuses_our_packet_when_a_header_bit_changed_on_the_way() -> None:
    ours, receiver, _ = sessions(SrtpProfile.AEAD_AES_128_GCM)
    packet = b"".join(ours.rtp.protect(SSRC, 7, [rtp.pack_header(96, 7, 1, SSRC)], [b"payload"]))
    with pytest.raises(Error):
        receiver.unprotect(packet[:4] + b"\xff" + packet[5:])
