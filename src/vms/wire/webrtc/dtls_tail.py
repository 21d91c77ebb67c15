"""What is left of a DTLS association while media flows: our goodbye, ready made, and an ear for the peer's.

OpenSSL keeps some 80 KB for an association that will never do more than one alert each way, which is most of what a
viewer costs. So it is let go once the handshake has settled, and alerts are opened here (RFC 5246 §6.3, RFC 5288 §3,
RFC 6347 §4.1.2).

Belongs here: keys for alerts, and those records. Does not: handshakes (vms.wire.webrtc.dtls).
"""

import hashlib
import hmac
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

CIPHER = "ECDHE-ECDSA-AES128-GCM-SHA256"
"""The one that browsers agree on with us; associations with another are kept as they are."""
RECORD_HEADER_BYTES = 13
ALERT_RECORD = b"\x15\xfe\xfd\x00\x01"  # an alert in DTLS 1.2, epoch 1: that of the handshake's keys
KEY_BYTES, SALT_BYTES, EXPLICIT_NONCE_BYTES, TAG_BYTES, ALERT_BYTES = 16, 4, 8, 16, 2
BODY_BYTES = EXPLICIT_NONCE_BYTES + ALERT_BYTES + TAG_BYTES
RECORD_BYTES = RECORD_HEADER_BYTES + BODY_BYTES
CLOSE_NOTIFY, FATAL = 0, 2


class DtlsTail:
    """farewell: datagrams that end the association at the peer. `over` once the peer has ended it."""

    __slots__ = ("_aead", "_salt", "farewell", "over")

    def __init__(
        self, master_secret: bytes, server_random: bytes, client_random: bytes, farewell: Sequence[bytes]
    ) -> None:
        seed = b"key expansion" + server_random + client_random
        block = _expand(master_secret, seed, 2 * (KEY_BYTES + SALT_BYTES))
        self._aead = AESGCM(block[:KEY_BYTES])  # the client's
        self._salt = block[2 * KEY_BYTES : 2 * KEY_BYTES + SALT_BYTES]
        self.farewell = tuple(farewell)
        self.over = False

    def receive(self, datagram: bytes) -> bool:
        """Take a datagram; whether it ended the association: an authentic close_notify, or a fatal alert."""
        if len(datagram) == RECORD_BYTES and datagram.startswith(ALERT_RECORD):
            alert = self._open(datagram)
            if alert is not None and (alert[1] == CLOSE_NOTIFY or alert[0] == FATAL):
                self.over = True
        return self.over

    def _open(self, record: bytes) -> bytes | None:
        sequence, kind, version, length = record[3:11], record[:1], record[1:3], record[11:13]
        body = record[RECORD_HEADER_BYTES:]
        if length != BODY_BYTES.to_bytes(2, "big"):
            return None
        nonce = self._salt + body[:EXPLICIT_NONCE_BYTES]
        covered = sequence + kind + version + ALERT_BYTES.to_bytes(2, "big")
        try:
            return self._aead.decrypt(nonce, body[EXPLICIT_NONCE_BYTES:], covered)
        except InvalidTag:
            return None


def _expand(secret: bytes, seed: bytes, size: int) -> bytes:
    """P_SHA256 (RFC 5246 §5)."""
    found, step = b"", seed
    while len(found) < size:
        step = hmac.digest(secret, step, hashlib.sha256)
        found += hmac.digest(secret, step + seed, hashlib.sha256)
    return found[:size]
