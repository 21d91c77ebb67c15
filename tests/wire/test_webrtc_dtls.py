"""DTLS: the handshake over lost and repeated datagrams, and the peers that are turned away."""

import time

import pytest
from OpenSSL import SSL

from vms.wire.webrtc.dtls import (
    DTLS_1_2,
    MTU_BYTES,
    DtlsContext,
    DtlsError,
    DtlsServer,
    DtlsState,
    Fingerprint,
    split_flight,
)
from vms.wire.webrtc.srtp import SrtpProfile


class Client:
    """An OpenSSL client with a certificate of its own."""

    def __init__(self, profiles: tuple[SrtpProfile, ...] = tuple(SrtpProfile)) -> None:
        self.context = DtlsContext(profiles or (SrtpProfile.AEAD_AES_128_GCM,))
        if not profiles:
            plain = SSL.Context(SSL.DTLS_METHOD)
            plain.set_max_proto_version(DTLS_1_2)
            self.context.ssl = plain
        self.connection = SSL.Connection(self.context.ssl, None)
        self.connection.set_connect_state()
        self.connection.set_ciphertext_mtu(MTU_BYTES)
        self.done = False

    def step(self, datagrams: list[bytes]) -> list[bytes]:
        for datagram in datagrams:
            self.connection.bio_write(datagram)
        try:
            self.connection.do_handshake()
            self.done = True
        except SSL.WantReadError:
            pass
        try:
            return split_flight(self.connection.bio_read(1 << 16))
        except SSL.WantReadError:
            return []


def shake_hands(server: DtlsServer, client: Client, most: int = 8) -> None:
    to_client: list[bytes] = []
    for _ in range(most):
        for datagram in client.step(to_client):
            server.receive(datagram)
        to_client = server.outgoing()
        assert all(len(datagram) <= MTU_BYTES for datagram in to_client)
        if client.done and server.state is not DtlsState.HANDSHAKE:
            return


def server_for(client: Client, profiles: tuple[SrtpProfile, ...] = tuple(SrtpProfile)) -> DtlsServer:
    return DtlsServer(DtlsContext(profiles), [client.context.fingerprint])


@pytest.mark.parametrize(
    ("of_client", "agreed"),
    [
        (tuple(reversed(SrtpProfile)), SrtpProfile.AEAD_AES_128_GCM),
        ((SrtpProfile.AES128_CM_SHA1_80,), SrtpProfile.AES128_CM_SHA1_80),
    ],
)
def test_our_preferred_profile_is_taken_and_the_fallback_where_there_is_no_other(
    of_client: tuple[SrtpProfile, ...], agreed: SrtpProfile
) -> None:
    client = Client(of_client)
    server = server_for(client)
    shake_hands(server, client)
    assert server.state is DtlsState.CONNECTED
    assert server.keys is not None
    assert server.keys.profile is agreed
    assert client.connection.get_selected_srtp_profile() == agreed.dtls_name
    assert len(server.keys.local_salt) == agreed.salt_bytes


def test_a_certificate_that_the_sdp_does_not_name_ends_the_association() -> None:
    client = Client()
    server = DtlsServer(DtlsContext(), [Fingerprint("sha-256", "AB:" * 31 + "AB")])
    with pytest.raises(DtlsError, match="certificate"):
        shake_hands(server, client)
    assert server.state is DtlsState.CLOSED
    assert server.keys is None


@pytest.mark.parametrize("algorithm", ["sha-256", "sha-384", "sha-512"])
def test_one_matching_fingerprint_of_several_is_enough(algorithm: str) -> None:
    client = Client()
    certificate = client.connection.get_certificate(as_cryptography=True)
    assert certificate is not None
    wrong = Fingerprint("sha-256", "00:" * 31 + "00")
    server = DtlsServer(DtlsContext(), [wrong, Fingerprint.of(certificate, algorithm)])
    shake_hands(server, client)
    assert server.state is DtlsState.CONNECTED


def test_a_client_without_srtp_is_turned_away() -> None:
    client = Client(())
    server = server_for(client)
    with pytest.raises(DtlsError):
        shake_hands(server, client)
    assert server.keys is None


def test_a_client_without_a_certificate_is_turned_away() -> None:
    client = Client()
    plain = SSL.Context(SSL.DTLS_METHOD)
    plain.set_max_proto_version(DTLS_1_2)
    plain.set_tlsext_use_srtp(SrtpProfile.AEAD_AES_128_GCM.dtls_name)
    client.connection = SSL.Connection(plain, None)
    client.connection.set_connect_state()
    client.connection.set_ciphertext_mtu(MTU_BYTES)
    server = server_for(client)
    with pytest.raises(DtlsError, match="certificate"):
        shake_hands(server, client)


def test_a_lost_flight_is_sent_again_when_its_timer_runs_out() -> None:
    client = Client()
    server = server_for(client)
    assert server.timeout_s() is None
    for datagram in client.step([]):
        server.receive(datagram)
    lost = server.outgoing()
    timeout_s = server.timeout_s()
    assert lost
    assert timeout_s is not None
    assert timeout_s <= 1.0
    time.sleep(timeout_s + 0.01)  # OpenSSL reads the machine's clock
    server.handle_timeout()
    to_client = server.outgoing()
    assert sum(map(len, to_client)) == sum(map(len, lost))
    for datagram in client.step(to_client):
        server.receive(datagram)
    client.step(server.outgoing())
    assert client.done
    assert server.state is DtlsState.CONNECTED


def test_our_last_flight_is_sent_again_when_the_client_repeats_its_own() -> None:
    client = Client()
    server = server_for(client)
    for datagram in client.step([]):
        server.receive(datagram)
    final = client.step(server.outgoing())
    for datagram in final:
        server.receive(datagram)
    server.outgoing()  # lost on the way
    assert server.state is DtlsState.CONNECTED
    time.sleep(client.connection.DTLSv1_get_timeout() + 0.01)
    client.connection.DTLSv1_handle_timeout()
    for datagram in client.step([]):
        server.receive(datagram)
    client.step(server.outgoing())
    assert client.done


def test_repeated_and_senseless_datagrams_do_not_disturb_the_handshake() -> None:
    client = Client()
    server = server_for(client)
    to_client: list[bytes] = []
    for _ in range(6):
        for datagram in client.step(to_client):
            server.receive(b"\x16\xfe\xfd" + bytes(60))
            server.receive(datagram)
            server.receive(datagram)
        to_client = server.outgoing()
    assert client.done
    assert server.state is DtlsState.CONNECTED


def test_close_notify_ends_both_sides() -> None:
    client = Client()
    server = server_for(client)
    shake_hands(server, client)
    server.close()
    for datagram in server.outgoing():
        client.connection.bio_write(datagram)
    with pytest.raises(SSL.ZeroReturnError):
        client.connection.recv(100)

    client, server = (other := Client()), server_for(other)
    shake_hands(server, client)
    client.connection.shutdown()
    server.receive(client.connection.bio_read(1 << 16))
    assert server.state is DtlsState.CLOSED


def test_a_flight_is_cut_between_records_and_what_is_incomplete_is_left_out() -> None:
    def record(size: int) -> bytes:
        return b"\x16\xfe\xfd" + bytes(8) + size.to_bytes(2, "big") + bytes(size)

    flight = record(500) + record(600) + record(200) + record(1187)
    assert split_flight(flight) == [record(500) + record(600), record(200), record(1187)]
    assert split_flight(b"\x16\xfe") == []
