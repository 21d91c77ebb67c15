"""SRTP receiving (RFC 3711 §3.3, RFC 7714 §8): the packets of one publisher, authenticated and decrypted.

Belongs here: keys, the roll-over counter, the replay list of each source. Does not: order, losses, payloads
(vms.wire.webrtc.receiver), SRTCP (vms.wire.webrtc.srtp).
"""

import hashlib
import hmac
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vms.wire import rtp
from vms.wire.webrtc.srtp import CM_TAG_BYTES, GCM_TAG_BYTES, SrtpError, SrtpKeys, SrtpProfile, derive

MAX_SOURCES = 16  # SSRCs of one publisher, those for repairs included; a change of encoder makes a new one
REPLAY_WINDOW = 1024  # a repair may come a second late at 1,000 packets a second


class _Opener(Protocol):
    def open(self, packet: bytes, header_bytes: int, ssrc: int, index: int) -> bytes:
        """The packet's payload. Raises SrtpError for a forged packet."""


class _GcmOpener:
    def __init__(self, key: bytes, salt: bytes) -> None:
        self._decrypt = AESGCM(derive(key, salt, 0, 16)).decrypt
        self._salt = int.from_bytes(derive(key, salt, 2, 12), "big")

    def open(self, packet: bytes, header_bytes: int, ssrc: int, index: int) -> bytes:
        nonce = (self._salt ^ ssrc << 48 ^ index).to_bytes(12, "big")
        try:
            return self._decrypt(nonce, packet[header_bytes:], packet[:header_bytes])
        except InvalidTag:
            raise SrtpError("an SRTP packet is not authentic") from None


class _CmOpener:
    def __init__(self, key: bytes, salt: bytes) -> None:
        self._key = algorithms.AES(derive(key, salt, 0, 16))
        self._auth_key = derive(key, salt, 1, 20)
        self._salt = int.from_bytes(derive(key, salt, 2, 14), "big") << 16

    def open(self, packet: bytes, header_bytes: int, ssrc: int, index: int) -> bytes:
        covered = packet[:-CM_TAG_BYTES]
        tag = hmac.digest(self._auth_key, covered + (index >> 16).to_bytes(4, "big"), hashlib.sha1)
        if not hmac.compare_digest(tag[:CM_TAG_BYTES], packet[-CM_TAG_BYTES:]):
            raise SrtpError("an SRTP packet is not authentic")
        iv = self._salt ^ ssrc << 64 ^ index << 16
        return Cipher(self._key, modes.CTR(iv.to_bytes(16, "big"))).decryptor().update(covered[header_bytes:])


class _Source:
    """The index of one SSRC's packets: roll-over counter and sequence number as one number (RFC 3711 §3.3.1)."""

    __slots__ = ("newest", "seen")

    def __init__(self) -> None:
        self.newest = -1
        self.seen = 0  # bit n: index newest - n was received

    def index_of(self, sequence_number: int) -> int:
        """The likeliest index: the one nearest to the newest."""
        if self.newest < 0:
            return sequence_number
        return max(self.newest + rtp.sequence_delta(sequence_number, self.newest & 0xFFFF), sequence_number)

    def check(self, index: int) -> None:
        behind = self.newest - index
        if self.newest >= 0 and behind >= 0 and (behind >= REPLAY_WINDOW or self.seen >> behind & 1):
            raise SrtpError(f"SRTP index {index} was received before")

    def note(self, index: int) -> None:
        """Take the index of an authentic packet."""
        ahead = index - self.newest
        if self.newest < 0 or ahead >= REPLAY_WINDOW:
            self.seen, self.newest = 1, index
        elif ahead > 0:
            self.seen = (self.seen << ahead | 1) & (1 << REPLAY_WINDOW) - 1
            self.newest = index
        else:
            self.seen |= 1 << -ahead


class SrtpReceiver:
    """Opens the RTP packets of one peer."""

    def __init__(self, keys: SrtpKeys) -> None:
        gcm = keys.profile is SrtpProfile.AEAD_AES_128_GCM
        self._opener: _Opener = (_GcmOpener if gcm else _CmOpener)(keys.remote_key, keys.remote_salt)
        self._tag_bytes = GCM_TAG_BYTES if gcm else CM_TAG_BYTES
        self._sources: dict[int, _Source] = {}

    def open(self, packet: bytes) -> bytes:
        """The RTP packet in an SRTP packet.

        Raises SrtpError when it is forged, repeated, too old, too short, or of one source too many.
        """
        header_bytes = _header_bytes(packet)
        if len(packet) < header_bytes + self._tag_bytes:
            raise SrtpError(f"an SRTP packet of {len(packet)} bytes is too short")
        ssrc = int.from_bytes(packet[8:12], "big")
        source = self._sources.get(ssrc)
        known = source is not None
        if source is None:
            if len(self._sources) >= MAX_SOURCES:
                raise SrtpError(f"the peer sends more than {MAX_SOURCES} sources")
            source = _Source()
        index = source.index_of(packet[2] << 8 | packet[3])
        source.check(index)
        payload = self._opener.open(packet, header_bytes, ssrc, index)
        if not known:  # only what is authentic may cost memory
            self._sources[ssrc] = source
        source.note(index)
        return packet[:header_bytes] + payload


def _header_bytes(packet: bytes) -> int:
    """The length of the part that stays in the clear: header, CSRCs, extension (RFC 3711 §3.1)."""
    size = rtp.HEADER_SIZE
    if len(packet) < size:
        raise SrtpError(f"an SRTP packet of {len(packet)} bytes is too short")
    size += 4 * (packet[0] & 0x0F)
    if packet[0] & 0x10:
        if len(packet) < size + 4:
            raise SrtpError("an SRTP packet's header extension begins outside it")
        size += 4 + 4 * (packet[size + 2] << 8 | packet[size + 3])
    return size
