"""A viewer that costs little: real ICE, DTLS and SRTP keys, then datagrams that are counted.

It offers, checks, and shakes hands as a browser does, so that what is measured against it has gone
through all of the server's set-up. Media is decrypted only where a caller asks for it.

Belongs here: the client side for benches and tests. Does not: what is measured.
"""

import re
import secrets
import socket
import time
from collections.abc import Callable
from functools import cache

from OpenSSL import SSL
from pylibsrtp import Policy, Session

from vms.wire.webrtc import stun
from vms.wire.webrtc.dtls import EXPORTER_LABEL, DtlsContext, split_flight
from vms.wire.webrtc.srtp import SrtpProfile

LIBSRTP_PROFILES = {
    SrtpProfile.AEAD_AES_128_GCM: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    SrtpProfile.AES128_CM_SHA1_80: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
}
RETRY_S = 0.2
HELLO_RETRY_S = 0.05  # doubled each time; browsers do so, where OpenSSL waits a second
VIDEO_PAYLOAD_TYPE, AUDIO_PAYLOAD_TYPE = 102, 0


@cache
def _client(profiles: tuple[SrtpProfile, ...]) -> DtlsContext:
    # Roles are a connection's; certificate, profiles and version are needed here just as there.
    return DtlsContext(profiles)


class SinkViewer:
    """One viewer on a UDP socket of its own; drive it with `readable` and `tick`.

    on_datagram: takes media as received; None counts alone.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        profiles: tuple[SrtpProfile, ...] = tuple(SrtpProfile),
        on_datagram: Callable[[bytes], None] | None = None,
    ) -> None:
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.socket.bind((host, 0))
        self.host = host
        self.ufrag, self.pwd = secrets.token_hex(4), secrets.token_hex(12)
        self.connected = False
        self.closed = False  # by the server's close_notify
        self.profile: SrtpProfile | None = None
        self.packets = 0
        self.bytes = 0
        self._newest: int | None = None
        self._expected = 0
        self.remote: tuple[str, int] | None = None
        self._context = _client(profiles)
        self.on_datagram = on_datagram
        self._remote_ufrag = self._remote_pwd = ""
        self._checked = False
        self._retry_at = 0.0
        self._hello: list[bytes] = []  # until the server has said anything
        self._hello_at = self._hello_wait_s = 0.0
        self._dtls = SSL.Connection(self._context.ssl, None)
        self._dtls.set_connect_state()
        self._dtls.set_ciphertext_mtu(1200)
        self._inbound: Session | None = None
        self._outbound: Session | None = None

    def offer(self, *, audio: bool = False, setup: str = "active") -> str:
        """An SDP offer that receives H.264 and, when asked for, PCMU."""
        transport = self._transport(setup)
        payload_type = VIDEO_PAYLOAD_TYPE
        lines = [
            *self._session(["0", "1"] if audio else ["0"]),
            f"m=video {self._port} UDP/TLS/RTP/SAVPF {payload_type}",
            *transport,
            "a=mid:0",
            "a=extmap:5 http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
            *_h264(payload_type),
        ]
        if audio:
            lines += [f"m=audio {self._port} UDP/TLS/RTP/SAVPF {AUDIO_PAYLOAD_TYPE}", *transport, "a=mid:1"]
            lines.append(f"a=rtpmap:{AUDIO_PAYLOAD_TYPE} PCMU/8000")
        return "\r\n".join(lines) + "\r\n"

    def answer(self, offer: str) -> str:
        """The answer to a server's offer of one H.264 track; `accept` the offer once the server has it."""
        payload_type = re.search(r"^a=rtpmap:(\d+) H264/90000", offer, re.MULTILINE)
        assert payload_type, "the offer has no H.264"
        mid = _attribute(offer, "mid")
        lines = [
            *self._session([mid]),
            f"m=video {self._port} UDP/TLS/RTP/SAVPF {payload_type[1]}",
            *self._transport("active"),
            f"a=mid:{mid}",
            *_h264(int(payload_type[1])),
        ]
        return "\r\n".join(lines) + "\r\n"

    @property
    def _port(self) -> int:
        port: int = self.socket.getsockname()[1]
        return port

    @property
    def _address(self) -> str:
        return f"{'IP6' if ':' in self.host else 'IP4'} {self.host}"

    def _session(self, mids: list[str]) -> list[str]:
        return [
            "v=0",
            f"o=- 1 1 IN {self._address}",
            "s=-",
            "t=0 0",
            f"a=group:BUNDLE {' '.join(mids)}",
        ]

    def _transport(self, setup: str) -> list[str]:
        return [
            f"c=IN {self._address}",
            f"a=ice-ufrag:{self.ufrag}",
            f"a=ice-pwd:{self.pwd}",
            f"a=fingerprint:{self._context.fingerprint}",
            f"a=setup:{setup}",
            f"a=candidate:1 1 udp 2130706431 {self.host} {self._port} typ host",
            "a=end-of-candidates",
            "a=rtcp-mux",
            "a=rtcp-rsize",
            "a=recvonly",
        ]

    def accept(self, answer: str) -> None:
        """Take the server's description and begin the checks: to the candidate on this viewer's host, else to the first
        of its address family."""
        self._remote_ufrag = _attribute(answer, "ice-ufrag")
        self._remote_pwd = _attribute(answer, "ice-pwd")
        candidates = re.findall(r"a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host", answer, re.IGNORECASE)
        reachable = [(host, int(port)) for host, port in candidates if (":" in host) == (":" in self.host)]
        self.remote = next((found for found in reachable if found[0] == self.host), reachable[0])
        self.tick()

    def tick(self) -> None:
        """Repeat what was not answered; keep consent. Call every second or so, sooner while connecting."""
        now = time.monotonic()
        if self._hello and now >= self._hello_at:
            self._say_hello(now)
        if self.remote is None or now < self._retry_at or self.closed:
            return
        self._retry_at = now + RETRY_S if not self.connected else now + 2.5
        self.send_check()
        if self._checked and not self.connected:
            self._dtls.DTLSv1_handle_timeout()
            self._flush()

    def send_check(self, *, use_candidate: bool = True, password: str | None = None) -> None:
        attributes = [
            (stun.USERNAME, f"{self._remote_ufrag}:{self.ufrag}".encode()),
            (stun.PRIORITY, (1 << 24).to_bytes(4, "big")),
            (stun.ICE_CONTROLLING, secrets.token_bytes(8)),
        ]
        if use_candidate:
            attributes.append((stun.USE_CANDIDATE, b""))
        key = (password or self._remote_pwd).encode()
        self._send(stun.build(stun.BINDING_REQUEST, secrets.token_bytes(12), attributes, key))

    def readable(self) -> None:
        """Take everything that has arrived."""
        while True:
            try:
                datagram = self.socket.recv(2048)
            except BlockingIOError:
                return
            self.take(datagram)

    def take(self, datagram: bytes) -> None:
        """Do what one datagram asks for."""
        if not datagram:
            return
        first = datagram[0]
        if first >= 128:
            if not 192 <= datagram[1] <= 223:
                self._count(datagram)
            if self.on_datagram is not None:
                self.on_datagram(datagram)
        elif first <= 3:
            self._stun(datagram)
        elif 20 <= first <= 63:
            self._receive_dtls(datagram)

    @property
    def lost(self) -> int:
        """RTP packets missing between the first and the last that arrived; late ones do not count."""
        return self._expected - self.packets

    def _count(self, datagram: bytes) -> None:
        number = datagram[2] << 8 | datagram[3]
        if self._newest is None:
            self._newest = number - 1 & 0xFFFF
        ahead = (number - self._newest + 0x8000 & 0xFFFF) - 0x8000
        if ahead > 0:
            self._expected += ahead
            self._newest = number
        self.packets += 1
        self.bytes += len(datagram)

    def open_rtp(self, datagram: bytes) -> bytes:
        """The RTP packet in an SRTP packet; pylibsrtp.Error when it is not authentic or repeated."""
        assert self._inbound is not None
        return self._inbound.unprotect(datagram)

    def open_rtcp(self, datagram: bytes) -> bytes:
        assert self._inbound is not None
        return self._inbound.unprotect_rtcp(datagram)

    def send_rtcp(self, packet: bytes) -> None:
        assert self._outbound is not None
        self._send(self._outbound.protect_rtcp(packet))

    def send_dtls_close(self) -> None:
        self._dtls.shutdown()
        self._flush()

    def close(self) -> None:
        self.socket.close()

    def _send(self, datagram: bytes) -> None:
        assert self.remote is not None
        self.socket.sendto(datagram, self.remote)

    def _stun(self, datagram: bytes) -> None:
        message = stun.parse(datagram)
        if message.type == stun.BINDING_SUCCESS and not self._checked:
            self._checked = True
            self._begin_handshake()
        elif message.type == stun.BINDING_REQUEST and self.remote is not None:  # full ICE agents check us too
            mapped = stun.xor_address(*self.remote, message.transaction_id)
            attributes = [(stun.XOR_MAPPED_ADDRESS, mapped)]
            self._send(
                stun.build(stun.BINDING_SUCCESS, message.transaction_id, attributes, self.pwd.encode())
            )

    def _begin_handshake(self) -> None:
        try:
            self._dtls.do_handshake()
        except SSL.WantReadError:
            self._hello = split_flight(self._dtls.bio_read(1 << 16))
        self._hello_wait_s = HELLO_RETRY_S
        self._say_hello(time.monotonic())

    def _say_hello(self, now: float) -> None:
        # A server that is not ready when the first check is answered loses the hello.
        for datagram in self._hello:
            self._send(datagram)
        self._hello_at = now + self._hello_wait_s
        self._hello_wait_s *= 2

    def _receive_dtls(self, datagram: bytes) -> None:
        self._hello = []
        self._dtls.bio_write(datagram)
        if not self.connected:
            self._handshake()
            return
        try:
            self._dtls.recv(2048)
        except SSL.ZeroReturnError:
            self.closed = True
        except SSL.Error:
            pass

    def _handshake(self) -> None:
        try:
            self._dtls.do_handshake()
        except SSL.WantReadError:
            self._flush()
            return
        self._flush()
        self._keys()
        self.connected = True

    def _keys(self) -> None:
        name = self._dtls.get_selected_srtp_profile()
        profile = next(profile for profile in SrtpProfile if profile.dtls_name == name)
        key, salt = profile.key_bytes, profile.salt_bytes
        exported = self._dtls.export_keying_material(EXPORTER_LABEL, 2 * (key + salt))
        client = exported[:key] + exported[2 * key : 2 * key + salt]
        server = exported[key : 2 * key] + exported[2 * key + salt :]
        libsrtp = LIBSRTP_PROFILES[profile]
        self.profile = profile
        self._inbound = Session(Policy(server, Policy.SSRC_ANY_INBOUND, srtp_profile=libsrtp))
        self._outbound = Session(Policy(client, Policy.SSRC_ANY_OUTBOUND, srtp_profile=libsrtp))

    def _flush(self) -> None:
        try:
            flight = self._dtls.bio_read(1 << 16)
        except SSL.WantReadError:
            return
        for datagram in split_flight(flight):
            self._send(datagram)


def _h264(payload_type: int) -> list[str]:
    return [
        f"a=rtpmap:{payload_type} H264/90000",
        f"a=fmtp:{payload_type} level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
        f"a=rtcp-fb:{payload_type} nack",
        f"a=rtcp-fb:{payload_type} nack pli",
    ]


def _attribute(sdp: str, name: str) -> str:
    match = re.search(rf"^a={name}:(\S+)", sdp, re.MULTILINE)
    assert match, f"the description has no a={name}"
    return match[1]
