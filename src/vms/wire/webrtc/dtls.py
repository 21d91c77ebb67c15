"""DTLS 1.2 server that keys SRTP (RFC 5764), on OpenSSL memory BIOs: no socket, no clock of its own.

Belongs here: our certificate, the handshake, flights cut into datagrams, the peer's fingerprint.
Does not: SRTP packets (vms.wire.webrtc.srtp), addresses and timers (vms.wire.webrtc.peer).
"""

import contextlib
import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from vms.wire.errors import ProtocolError
from vms.wire.webrtc import dtls_tail
from vms.wire.webrtc.dtls_tail import DtlsTail
from vms.wire.webrtc.srtp import SrtpKeys, SrtpProfile

MTU_BYTES = 1200
RECORD_HEADER_BYTES = 13  # RFC 6347 §4.1
DTLS_1_2 = 0xFEFD
EXPORTER_LABEL = b"EXTRACTOR-dtls_srtp"  # RFC 5764 §4.2
READ_BYTES = 1 << 16
CIPHERS = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384"
    b":ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA"
)
FINGERPRINT_HASHES: Mapping[str, type[hashes.HashAlgorithm]] = {
    "sha-256": hashes.SHA256,
    "sha-384": hashes.SHA384,
    "sha-512": hashes.SHA512,
}
"""Hashes that a fingerprint in SDP may use (RFC 8122 §5); SHA-1 and older are refused."""


class DtlsError(ProtocolError):
    """The DTLS peer broke the protocol, sent a fatal alert, or is not the one that the SDP names."""


class DtlsState(Enum):
    HANDSHAKE = "handshake"
    CONNECTED = "connected"
    CLOSED = "closed"  # by close_notify, from either side


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A certificate's hash as SDP writes it (RFC 8122 §5): ``sha-256``, ``AB:CD:…`` in upper case."""

    algorithm: str
    value: str

    @classmethod
    def of(cls, certificate: x509.Certificate, algorithm: str = "sha-256") -> "Fingerprint":
        digest = certificate.fingerprint(FINGERPRINT_HASHES[algorithm]())
        return cls(algorithm, digest.hex(":").upper())

    def __str__(self) -> str:
        return f"{self.algorithm} {self.value}"


class DtlsContext:
    """One certificate with its key, and the OpenSSL context that all peers share.

    profiles: SRTP profiles, the preferred one first.
    """

    def __init__(self, profiles: Sequence[SrtpProfile] = tuple(SrtpProfile)) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _self_signed(key)
        self.fingerprint = Fingerprint.of(certificate)
        self.profiles = tuple(profiles)
        context = SSL.Context(SSL.DTLS_METHOD)
        context.set_min_proto_version(DTLS_1_2)
        context.set_max_proto_version(DTLS_1_2)
        context.set_cipher_list(CIPHERS)
        context.use_certificate(certificate)
        context.use_privatekey(key)
        context.set_options(SSL.OP_NO_QUERY_MTU | SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_mode(
            SSL.MODE_RELEASE_BUFFERS
        )  # 10 KiB less a viewer, who sends no more DTLS than its farewell
        # Peers are self-signed too: any certificate is taken here, and held against the SDP afterwards.
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _accept_any)
        context.set_tlsext_use_srtp(b":".join(profile.dtls_name for profile in profiles))
        self.ssl = context


class DtlsServer:
    """One peer's association. Feed datagrams in; send what `outgoing` gives; run `handle_timeout`.

    fingerprints: those of the peer's SDP; its certificate has to match one of them.
    `keys` is set once `state` is CONNECTED.
    """

    def __init__(self, context: DtlsContext, fingerprints: Sequence[Fingerprint]) -> None:
        self.state = DtlsState.HANDSHAKE
        self.keys: SrtpKeys | None = None
        self._profiles = {profile.dtls_name: profile for profile in context.profiles}
        self._fingerprints = tuple(fingerprints)
        self._connection = SSL.Connection(context.ssl, None)
        self._connection.set_accept_state()
        self._connection.set_ciphertext_mtu(MTU_BYTES)

    def receive(self, datagram: bytes) -> None:
        """Take one datagram from the peer. Raises DtlsError when the association is over for good."""
        if self.state is DtlsState.CLOSED:
            return
        try:
            self._connection.bio_write(datagram)
            if self.state is DtlsState.HANDSHAKE:
                self._connection.do_handshake()
                self._established()
            while True:  # application data has no meaning here; reading runs alerts and retransmissions
                self._connection.recv(READ_BYTES)
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self.state = DtlsState.CLOSED
        except SSL.Error as error:
            self.state = DtlsState.CLOSED
            raise DtlsError(f"DTLS with the viewer failed: {_reason(error)}") from None

    def outgoing(self) -> list[bytes]:
        """Datagrams to send now, each of whole records and at most the MTU."""
        try:
            flight = self._connection.bio_read(READ_BYTES)
        except SSL.WantReadError:
            return []
        return split_flight(flight)

    def timeout_s(self) -> float | None:
        """Seconds until `handle_timeout` is due, None when nothing waits for the peer."""
        return self._connection.DTLSv1_get_timeout() if self.state is DtlsState.HANDSHAKE else None

    def handle_timeout(self) -> None:
        """Retransmit the last flight when its timer has run out (RFC 6347 §4.2.4)."""
        if self.state is DtlsState.HANDSHAKE:
            try:
                self._connection.DTLSv1_handle_timeout()
            except SSL.Error as error:
                self.state = DtlsState.CLOSED
                raise DtlsError(f"DTLS with the viewer failed: {_reason(error)}") from None

    def close(self) -> None:
        """Queue close_notify for `outgoing`; does nothing when there is no association."""
        if self.state is DtlsState.CONNECTED:
            with contextlib.suppress(SSL.Error):  # the peer may have broken the association meanwhile
                self._connection.shutdown()
        self.state = DtlsState.CLOSED

    def tail(self) -> DtlsTail | None:
        """What may stand for this association from now on, which then is not to be used; None: nothing may.

        For one that is CONNECTED, and whose peer has surely got our last flight.
        """
        connection = self._connection
        if self.state is not DtlsState.CONNECTED or connection.get_cipher_name() != dtls_tail.CIPHER:
            return None
        master, server, client = (
            connection.master_key(),
            connection.server_random(),
            connection.client_random(),
        )
        if master is None or server is None or client is None:
            return None
        self.close()
        return DtlsTail(master, server, client, self.outgoing())

    def _established(self) -> None:
        try:
            certificate = self._connection.get_peer_certificate(as_cryptography=True)
        except ValueError:  # OpenSSL takes certificates that cryptography does not
            certificate = None
        offered = (
            {Fingerprint.of(certificate, f.algorithm) for f in self._fingerprints} if certificate else ()
        )
        if not any(fingerprint in offered for fingerprint in self._fingerprints):
            self._connection.shutdown()
            self.state = DtlsState.CLOSED
            raise DtlsError("the viewer's certificate is not the one that its SDP names")
        profile = self._profiles.get(self._connection.get_selected_srtp_profile())
        if profile is None:
            self._connection.shutdown()
            self.state = DtlsState.CLOSED
            raise DtlsError("the viewer and this server have no SRTP profile in common")
        size = 2 * (profile.key_bytes + profile.salt_bytes)
        self.keys = SrtpKeys.of_server(profile, self._connection.export_keying_material(EXPORTER_LABEL, size))
        self.state = DtlsState.CONNECTED


def split_flight(flight: bytes) -> list[bytes]:
    """Cut what OpenSSL wrote to a memory BIO, which keeps no boundaries, back into datagrams."""
    datagrams: list[bytes] = []
    start = at = 0
    while at + RECORD_HEADER_BYTES <= len(flight):
        end = at + RECORD_HEADER_BYTES + int.from_bytes(flight[at + 11 : at + 13], "big")
        if end - start > MTU_BYTES and at > start:
            datagrams.append(flight[start:at])
            start = at
        at = end
    if at > start:
        datagrams.append(flight[start:at])
    return datagrams


def _accept_any(connection: SSL.Connection, certificate: object, error: int, depth: int, ok: int) -> bool:
    return True


def _reason(error: SSL.Error) -> str:
    """OpenSSL's words for what went wrong, such as ``ssl/tls alert handshake failure``."""
    queue = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return "; ".join(str(entry[-1]) for entry in queue if entry) or type(error).__name__


def _self_signed(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "vms")])
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        # Peers know it by its fingerprint and it ends with the process, so it may outlive any uptime.
        .not_valid_after(now + datetime.timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
