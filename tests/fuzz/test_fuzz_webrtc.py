"""Datagrams and offers that were bent at random, through everything a viewer can reach."""

import asyncio
import contextlib
import random
import re
import secrets
import time
import tracemalloc
from collections.abc import Callable, Iterator

import pytest
from bench._viewer import SinkViewer
from OpenSSL import SSL
from tests.wire.test_webrtc_negotiation import CHROMIUM, LOCAL

from vms.api.trickle import new_ufrag_of
from vms.common.clock import ManualClock
from vms.common.errors import InvalidInput
from vms.format import nal
from vms.format.errors import FormatError
from vms.wire import rtcp
from vms.wire.errors import ProtocolError
from vms.wire.payload import h264 as h264_payload
from vms.wire.webrtc import stun
from vms.wire.webrtc.dtls import DtlsContext, DtlsError, DtlsServer, split_flight
from vms.wire.webrtc.endpoint import WebRtcEndpoint
from vms.wire.webrtc.negotiation import Outgoing, RemoteOffer, write_answer
from vms.wire.webrtc.srtp import SrtpError, SrtpKeys, SrtpProfile, SrtpSession

SECONDS = 1.0
ENOUGH = 20  # rounds, however slow the machine is
PEAK_BYTES = 16 << 20


@pytest.fixture(autouse=True)
def bounded_memory() -> Iterator[None]:
    tracemalloc.start()
    yield
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < PEAK_BYTES


def bend(data: bytes, rng: random.Random) -> bytes:
    bent = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 6))):
        at = rng.randrange(len(bent) + 1)
        match rng.randrange(5):
            case 0 if at < len(bent):
                bent[at] ^= 1 << rng.randrange(8)
            case 1:
                bent[at : at + 2] = rng.choice((b"\0\0", b"\xff\xff", b"\0\4", b"\x7f\xff"))
            case 2:
                del bent[at : at + rng.randrange(1, 40)]
            case 3:
                bent[at:at] = bent[at : at + rng.randrange(1, 40)]
            case 4:
                bent[at:at] = rng.randbytes(rng.randrange(1, 20))
    return bytes(bent)


def rounds(act: Callable[[random.Random], None], seconds: float = SECONDS) -> None:
    first = secrets.randbits(32)
    until = time.monotonic() + seconds
    count = 0
    while time.monotonic() < until or count <= ENOUGH:
        try:
            act(random.Random(first + count))
        except Exception as error:
            error.add_note(f"to see it again: act(random.Random({first + count}))")
            raise
        count += 1


def test_bent_stun_messages_raise_one_error_and_are_never_authentic() -> None:
    password = b"VOkJxbRl1RmTxUk/WvJxBt"
    attributes = [(stun.USERNAME, b"abcd:efgh"), (stun.PRIORITY, bytes(4)), (stun.USE_CANDIDATE, b"")]
    seed = stun.build(stun.BINDING_REQUEST, bytes(range(12)), attributes, password)

    def act(rng: random.Random) -> None:
        bent = bend(seed, rng)
        with contextlib.suppress(stun.StunError):
            message = stun.parse(bent)
            if bent != seed and message.has_fingerprint:
                assert not message.is_authentic(password)

    rounds(act)


def test_bent_offers_are_answered_or_refused() -> None:
    seed = CHROMIUM.encode()

    def act(rng: random.Random) -> None:
        text = bend(seed, rng).decode(errors="replace")
        with contextlib.suppress(ProtocolError):
            offer = RemoteOffer.parse(text)
            outgoing = [
                Outgoing(send, 1)
                for send in (offer.h264("64"), offer.audio("PCMU", 8000, 1))
                if send is not None
            ]
            answer = write_answer(offer, LOCAL, outgoing)
            # Nothing of an offer may come out as a line of its own in our answer.
            assert all(line[1:2] == "=" for line in answer.splitlines())

    rounds(act)


@pytest.mark.parametrize("profile", list(SrtpProfile), ids=lambda profile: profile.name)
def test_bent_srtcp_is_refused(profile: SrtpProfile) -> None:
    exported = bytes(range(2 * (profile.key_bytes + profile.salt_bytes)))
    keys = SrtpKeys.of_server(profile, exported)
    mirrored = SrtpKeys(profile, keys.remote_key, keys.remote_salt, keys.local_key, keys.local_salt)
    receiver, sender = SrtpSession(keys), SrtpSession(mirrored)
    packet = rtcp.pack(
        [rtcp.ReceiverReport(1), rtcp.Nack(1, 2, (3, 4, 30)), rtcp.PictureLossIndication(1, 2)]
    )

    def act(rng: random.Random) -> None:
        sealed = sender.protect_rtcp(packet)
        bent = bend(sealed, rng)
        if bent != sealed:
            with pytest.raises(SrtpError):
                receiver.open_rtcp(bent)

    rounds(act, 0.5)


def test_bent_dtls_flights_end_the_association_or_are_passed_over() -> None:
    server_context, client_context = DtlsContext(), DtlsContext()

    def act(rng: random.Random) -> None:
        server = DtlsServer(server_context, [client_context.fingerprint])
        client = SSL.Connection(client_context.ssl, None)
        client.set_connect_state()
        client.set_ciphertext_mtu(1200)
        to_client: list[bytes] = []
        try:
            for _ in range(4):
                for datagram in to_client:
                    client.bio_write(datagram)
                with contextlib.suppress(SSL.WantReadError):
                    client.do_handshake()
                try:
                    flight = client.bio_read(1 << 16)
                except SSL.WantReadError:
                    break
                for datagram in split_flight(flight):
                    server.receive(bend(datagram, rng) if rng.random() < 0.4 else datagram)
                to_client = server.outgoing()
                server.timeout_s()
            server.close()
            server.outgoing()
        except (DtlsError, SSL.Error):
            return

    rounds(act)


async def test_bent_datagrams_never_trouble_the_port() -> None:
    endpoint = WebRtcEndpoint(0, ManualClock())
    endpoint.open()
    viewer = SinkViewer()
    peer = endpoint.accept(RemoteOffer.parse(viewer.offer()))
    port = next(iter(endpoint.ports.values()))
    source = (str(port.address), 9)
    username = (stun.USERNAME, f"{peer.ufrag}:{viewer.ufrag}".encode())
    check = stun.build(stun.BINDING_REQUEST, bytes(12), [username], peer.pwd.encode())
    seeds = [check, b"\x16\xfe\xfd" + bytes(60), b"\x80\xc9\0\1" + bytes(40), b"\x80\x60" + bytes(40)]
    endpoint._receive(port, check, source)
    assert peer.path is not None

    def act(rng: random.Random) -> None:
        endpoint._receive(port, bend(rng.choice(seeds), rng), source)

    rounds(act)
    endpoint.close()
    viewer.close()


async def test_bent_streams_of_ice_over_tcp_are_taken_or_closed() -> None:
    endpoint = WebRtcEndpoint(0, ManualClock())
    endpoint.open()
    viewer = SinkViewer()
    peer = endpoint.accept(RemoteOffer.parse(viewer.offer()))
    username = (stun.USERNAME, f"{peer.ufrag}:{viewer.ufrag}".encode())
    check = stun.build(stun.BINDING_REQUEST, bytes(12), [username], peer.pwd.encode())
    seed = b"".join(
        len(each).to_bytes(2, "big") + each
        for each in (check, b"\x16\xfe\xfd" + bytes(60), check, b"\x80\xc9\0\1" + bytes(40), b"")
    )

    def act(rng: random.Random) -> None:
        connection = endpoint.tcp_connection()
        transport = ScriptedTransport()
        connection.connection_made(transport)
        data, at = bend(seed * 3, rng), 0
        while at < len(data) and not transport.closed:
            size = rng.choice((1, 2, 3, 50, 1000))
            connection.data_received(data[at : at + size])
            at += size
            assert len(connection._unread) <= 2 + 2048
        connection.connection_lost(None)
        endpoint.sweep()

    rounds(act)
    assert not endpoint._unproven
    assert not endpoint._by_path
    endpoint.close()
    viewer.close()


class ScriptedTransport(asyncio.Transport):
    """A connection from this machine that takes everything."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 9)})
        self.closed = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...
    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True


def test_bent_fragments_are_taken_or_refused() -> None:
    seed = (
        b"a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\nm=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
        b"a=candidate:1 1 udp 1 192.0.2.1 5000 typ host\r\na=end-of-candidates\r\n"
    )

    def act(rng: random.Random) -> None:
        text = bend(seed, rng).decode(errors="replace")
        with contextlib.suppress(InvalidInput):
            assert re.fullmatch("[A-Za-z0-9+/]{4,256}", new_ufrag_of(text))

    rounds(act, 0.5)


def test_bent_rtcp_in_the_clear_raises_one_error() -> None:
    """What a viewer with a key may send: it comes to the parser authenticated."""
    seed = rtcp.pack(
        [
            rtcp.ReceiverReport(1),
            rtcp.Nack(1, 2, (3, 4, 30)),
            rtcp.PictureLossIndication(1, 2),
            rtcp.ReceiverReferenceTime(1, 2),
        ]
    )

    def act(rng: random.Random) -> None:
        with contextlib.suppress(ProtocolError):
            rtcp.parse(bend(seed, rng))

    rounds(act, 0.5)


def test_bent_access_units_are_packetised_or_refused() -> None:
    seed = nal.join([b"\x67sps", b"\x68pps", b"\x65" + bytes(range(1, 200)) * 20, b"\x41tail"])

    def act(rng: random.Random) -> None:
        with contextlib.suppress(FormatError):
            payloads = h264_payload.packetize(bend(seed, rng), 1144)
            assert all(0 < len(payload) <= 1144 for payload in payloads)

    rounds(act)
