"""SRTP sending and SRTCP both ways (RFC 3711, RFC 7714), keyed by DTLS (RFC 5764).

Two profiles: AEAD_AES_128_GCM, and AES_CM_128_HMAC_SHA1_80 for peers without it. What a sender encrypts
under one (SSRC, index) must never differ between two calls: with GCM a repeated nonce over different
bytes gives the key stream away. Callers keep that by deriving packets from immutable frames.

Belongs here: keys and packets. Does not: sequence numbers (vms.wire.webrtc.rtp_stream), DTLS.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vms.wire.errors import ProtocolError

GCM_TAG_BYTES = 16
CM_TAG_BYTES = 10
RTCP_HEADER_BYTES = 8  # of an SRTCP packet these stay in the clear
SRTCP_ENCRYPTED = 1 << 31
REPLAY_WINDOW = 128
MAX_RTCP_SOURCES = 32  # SSRCs that one peer reports with


class SrtpError(ProtocolError):
    """An SRTCP packet that is forged, repeated or too short."""


class SrtpProfile(Enum):
    """A protection profile: its DTLS name (RFC 5764 §4.1.2, RFC 7714 §14.2), master key and salt lengths."""

    AEAD_AES_128_GCM = (b"SRTP_AEAD_AES_128_GCM", 16, 12)
    AES128_CM_SHA1_80 = (b"SRTP_AES128_CM_SHA1_80", 16, 14)

    def __init__(self, dtls_name: bytes, key_bytes: int, salt_bytes: int) -> None:
        self.dtls_name = dtls_name
        self.key_bytes = key_bytes
        self.salt_bytes = salt_bytes


@dataclass(frozen=True, slots=True, repr=False)
class SrtpKeys:
    """What DTLS exported (RFC 5764 §4.2), from the server's point of view."""

    profile: SrtpProfile
    local_key: bytes
    local_salt: bytes
    remote_key: bytes
    remote_salt: bytes

    @classmethod
    def of_server(cls, profile: SrtpProfile, exported: bytes) -> "SrtpKeys":
        """Cut client key, server key, client salt, server salt out of the exported material."""
        key, salt = profile.key_bytes, profile.salt_bytes
        return cls(
            profile,
            local_key=exported[key : 2 * key],
            local_salt=exported[2 * key + salt : 2 * (key + salt)],
            remote_key=exported[:key],
            remote_salt=exported[2 * key : 2 * key + salt],
        )


class SrtpSender(Protocol):
    """Protects RTP packets of one peer."""

    @property
    def overhead(self) -> int:
        """Bytes that protection adds to a packet."""

    def protect(
        self, ssrc: int, index: int, headers: Sequence[bytes], payloads: Sequence[bytes]
    ) -> list[bytes]:
        """Headers and protected payloads by turns, as `sendmsg` takes them.

        index: ROC << 16 | SEQ of the first packet; the others follow. headers: complete RTP headers.
        """


class SrtcpTransform(Protocol):
    """Protects or opens SRTCP packets in one direction."""

    def protect(self, packet: bytes, index: int) -> bytes: ...

    def open(self, packet: bytes) -> tuple[bytes, int]:
        """The RTCP packet and its index; SrtpError when it is not authentic."""


def derive(master_key: bytes, master_salt: bytes, label: int, size: int) -> bytes:
    """The key derivation of RFC 3711 §4.3.1 with AES-CM and a key derivation rate of 0.

    A salt of 12 bytes is padded with zeros on the right (RFC 7714 §11).
    """
    iv = int.from_bytes(master_salt.ljust(14, b"\0"), "big") << 16 ^ label << 64
    return _aes_ctr(master_key, iv, bytes(size))


class GcmSender:
    """AEAD_AES_128_GCM for RTP (RFC 7714 §8)."""

    overhead: Final = GCM_TAG_BYTES

    def __init__(self, key: bytes, salt: bytes) -> None:
        self._encrypt = AESGCM(derive(key, salt, 0, 16)).encrypt
        self._salt = int.from_bytes(derive(key, salt, 2, 12), "big")

    def protect(
        self, ssrc: int, index: int, headers: Sequence[bytes], payloads: Sequence[bytes]
    ) -> list[bytes]:
        encrypt = self._encrypt
        salt = self._salt ^ ssrc << 48
        buffers: list[bytes] = []
        for header, payload in zip(headers, payloads, strict=True):
            buffers += (header, encrypt((salt ^ index).to_bytes(12, "big"), payload, header))
            index += 1
        return buffers


class CmSender:
    """AES_CM_128_HMAC_SHA1_80 for RTP (RFC 3711 §4.1.1, §4.2)."""

    overhead: Final = CM_TAG_BYTES

    def __init__(self, key: bytes, salt: bytes) -> None:
        self._key = derive(key, salt, 0, 16)
        self._auth_key = derive(key, salt, 1, 20)
        self._salt = int.from_bytes(derive(key, salt, 2, 14), "big") << 16

    def protect(
        self, ssrc: int, index: int, headers: Sequence[bytes], payloads: Sequence[bytes]
    ) -> list[bytes]:
        salt = self._salt ^ ssrc << 64
        buffers: list[bytes] = []
        for header, payload in zip(headers, payloads, strict=True):
            encrypted = _aes_ctr(self._key, salt ^ index << 16, payload)
            covered = header + encrypted + (index >> 16).to_bytes(4, "big")
            tag = hmac.digest(self._auth_key, covered, hashlib.sha1)[:CM_TAG_BYTES]
            buffers += (header, encrypted + tag)
            index += 1
        return buffers


class GcmRtcp:
    """AEAD_AES_128_GCM for RTCP (RFC 7714 §9)."""

    def __init__(self, key: bytes, salt: bytes) -> None:
        self._aead = AESGCM(derive(key, salt, 3, 16))
        self._salt = int.from_bytes(derive(key, salt, 5, 12), "big")

    def protect(self, packet: bytes, index: int) -> bytes:
        header, trailer = packet[:RTCP_HEADER_BYTES], (SRTCP_ENCRYPTED | index).to_bytes(4, "big")
        sealed = self._aead.encrypt(self._nonce(header, index), packet[RTCP_HEADER_BYTES:], header + trailer)
        return header + sealed + trailer

    def open(self, packet: bytes) -> tuple[bytes, int]:
        if len(packet) < RTCP_HEADER_BYTES + GCM_TAG_BYTES + 4:
            raise SrtpError(f"an SRTCP packet of {len(packet)} bytes is too short")
        header, sealed, trailer = packet[:RTCP_HEADER_BYTES], packet[RTCP_HEADER_BYTES:-4], packet[-4:]
        word = int.from_bytes(trailer, "big")
        index = word & ~SRTCP_ENCRYPTED
        if not word & SRTCP_ENCRYPTED:
            raise SrtpError("an SRTCP packet is not encrypted")
        try:
            plain = self._aead.decrypt(self._nonce(header, index), sealed, header + trailer)
        except InvalidTag:
            raise SrtpError("an SRTCP packet is not authentic") from None
        return header + plain, index

    def _nonce(self, header: bytes, index: int) -> bytes:
        ssrc = int.from_bytes(header[4:8], "big")
        return (self._salt ^ ssrc << 48 ^ index).to_bytes(12, "big")


class CmRtcp:
    """AES_CM_128_HMAC_SHA1_80 for RTCP (RFC 3711 §3.4)."""

    def __init__(self, key: bytes, salt: bytes) -> None:
        self._key = derive(key, salt, 3, 16)
        self._auth_key = derive(key, salt, 4, 20)
        self._salt = int.from_bytes(derive(key, salt, 5, 14), "big") << 16

    def protect(self, packet: bytes, index: int) -> bytes:
        covered = self._crypt(packet, index) + (SRTCP_ENCRYPTED | index).to_bytes(4, "big")
        return covered + self._tag(covered)

    def open(self, packet: bytes) -> tuple[bytes, int]:
        if len(packet) < RTCP_HEADER_BYTES + CM_TAG_BYTES + 4:
            raise SrtpError(f"an SRTCP packet of {len(packet)} bytes is too short")
        covered, tag = packet[:-CM_TAG_BYTES], packet[-CM_TAG_BYTES:]
        if not hmac.compare_digest(self._tag(covered), tag):
            raise SrtpError("an SRTCP packet is not authentic")
        word = int.from_bytes(covered[-4:], "big")
        index = word & ~SRTCP_ENCRYPTED
        if not word & SRTCP_ENCRYPTED:
            raise SrtpError("an SRTCP packet is not encrypted")
        return self._crypt(covered[:-4], index), index

    def _crypt(self, packet: bytes, index: int) -> bytes:
        header = packet[:RTCP_HEADER_BYTES]
        ssrc = int.from_bytes(header[4:8], "big")
        return header + _aes_ctr(self._key, self._salt ^ ssrc << 64 ^ index << 16, packet[RTCP_HEADER_BYTES:])

    def _tag(self, covered: bytes) -> bytes:
        return hmac.digest(self._auth_key, covered, hashlib.sha1)[:CM_TAG_BYTES]


class SrtpSession:
    """Everything that one peer's keys protect: RTP out, RTCP out and in with replay protection.

    `rtp` protects packets; RTCP indexes are counted here.
    """

    def __init__(self, keys: SrtpKeys) -> None:
        self.profile = keys.profile
        self.keys = keys
        self.rtp: SrtpSender
        self._rtcp_out: SrtcpTransform
        self._rtcp_in: SrtcpTransform
        if keys.profile is SrtpProfile.AEAD_AES_128_GCM:
            self.rtp = GcmSender(keys.local_key, keys.local_salt)
            self._rtcp_out = GcmRtcp(keys.local_key, keys.local_salt)
            self._rtcp_in = GcmRtcp(keys.remote_key, keys.remote_salt)
        else:
            self.rtp = CmSender(keys.local_key, keys.local_salt)
            self._rtcp_out = CmRtcp(keys.local_key, keys.local_salt)
            self._rtcp_in = CmRtcp(keys.remote_key, keys.remote_salt)
        self._rtcp_index = 0
        self._received: dict[int, _Replays] = {}  # by SSRC: each counts for itself (RFC 3711 §3.2.3)

    def protect_rtcp(self, packet: bytes) -> bytes:
        """The SRTCP packet for a compound RTCP packet."""
        self._rtcp_index += 1
        return self._rtcp_out.protect(packet, self._rtcp_index)

    def open_rtcp(self, packet: bytes) -> bytes:
        """The RTCP packet in an SRTCP packet; SrtpError when it is forged, repeated or too old."""
        plain, index = self._rtcp_in.open(packet)
        ssrc = int.from_bytes(packet[4:8], "big")
        replays = self._received.get(ssrc)
        if replays is None:
            if len(self._received) >= MAX_RTCP_SOURCES:
                raise SrtpError(f"the peer sends SRTCP from more than {MAX_RTCP_SOURCES} sources")
            replays = self._received[ssrc] = _Replays()
        replays.take(index)
        return plain


class _Replays:
    """The replay list of one source (RFC 3711 §3.3.2)."""

    __slots__ = ("_newest", "_seen")

    def __init__(self) -> None:
        self._newest = -1
        self._seen = 0  # bit n: index newest - n was received

    def take(self, index: int) -> None:
        """Note an authentic packet's index. Raises SrtpError when it was received before, or is too old to tell."""
        ahead = index - self._newest
        if ahead > 0:
            self._seen = (self._seen << min(ahead, REPLAY_WINDOW) | 1) & (1 << REPLAY_WINDOW) - 1
            self._newest = index
        elif -ahead >= REPLAY_WINDOW or self._seen >> -ahead & 1:
            raise SrtpError(f"SRTCP index {index} was received before")
        else:
            self._seen |= 1 << -ahead


def _aes_ctr(key: bytes, iv: int, data: bytes) -> bytes:
    encryptor = Cipher(algorithms.AES(key), modes.CTR(iv.to_bytes(16, "big"))).encryptor()
    return encryptor.update(data)
