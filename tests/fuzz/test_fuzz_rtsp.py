"""What a server may send on a connection, bent at random and cut into random reads."""

import random
import time

from tests.wire.rtp_packets import Recorder, h264_fragments, interleaved, rtp

from vms.common.clock import ManualClock
from vms.common.errors import VmsError
from vms.media import Codec, MediaKind
from vms.wire.errors import ProtocolError
from vms.wire.rtcp import Bye, SenderReport
from vms.wire.rtsp.auth import ClientAuthenticator, ServerAuthenticator, parse_challenges
from vms.wire.rtsp.interleaved import BUFFER_SIZE, InterleavedReader
from vms.wire.rtsp.media_line import MediaLine
from vms.wire.rtsp.message import Headers, Message, Request, Response, take_message
from vms.wire.rtsp.stream import RtpStream
from vms.wire.rtsp.transport import TransportSpec, parse_rtp_info, parse_session

SECONDS = 2.0
LINE = MediaLine(0, MediaKind.VIDEO, Codec.H264, "H264", 96, 90_000, 1, "rtsp://h/1")
ANSWER = Response(200, "OK", Headers([("CSeq", "3"), ("Session", "a;timeout=60")]), b"body" * 20).pack()
REQUEST = Request("OPTIONS", "rtsp://192.0.2.1/stream", Headers([("CSeq", "9")])).pack()
HEADERS = [
    'Digest realm="a \\"b\\"", nonce="abc", qop="auth", algorithm=SHA-256, stale=true, Basic realm="x"',
    "RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=DEADBEEF, RTP/AVP;client_port=5000-5001",
    "abc;timeout=60",
    "url=rtsp://h/1;seq=1;rtptime=2,url=rtsp://h/2;seq=3",
    'Digest username="u", realm="vms", nonce="00", uri="*", response="aa", qop=auth, nc=00000001, cnonce="x"',
]


class Reader(InterleavedReader):
    def __init__(self) -> None:
        super().__init__(ManualClock())
        self.messages = 0
        self.error: VmsError | None = None

    def message_received(self, message: Message) -> None:
        self.messages += 1

    def failed(self, error: VmsError) -> None:
        self.error = error

    def stream_ended(self, stream: RtpStream) -> None:
        stream.ended = False


def media(rng: random.Random, first: int) -> bytes:
    data = b""
    for number in range(first, first + 20):
        one, two = h264_fragments(b"\x41\x9a" + bytes(2000), 1200)
        data += interleaved(rtp(one, 2 * number, 3600 * number))
        data += interleaved(rtp(two, 2 * number + 1, 3600 * number, marker=True))
        data += rng.choice(
            [b"", b"", ANSWER, REQUEST, interleaved(SenderReport(1, 2, 3, 4, 5).pack() + Bye((1,)).pack(), 1)]
        )
    return data


def bend(data: bytes, rng: random.Random, most: int = 6) -> bytes:
    bent = bytearray(data)
    for _ in range(rng.randint(0, most)):
        at = rng.randrange(len(bent) + 1)
        match rng.randrange(4):
            case 0:
                bent[at : at + 1] = rng.randbytes(1)
            case 1:
                bent[at:at] = rng.randbytes(rng.randint(1, 300))
            case 2:
                del bent[at : at + rng.randint(1, 3000)]
            case _:
                bent[at:at] = rng.choice(
                    [b"$", b"$\0", b"RTSP/1.0 ", b"\r\n\r\n", b"Content-Length: 99999\r\n"]
                )
    return bytes(bent)


def test_any_bytes_of_a_server_are_taken_skipped_or_a_typed_error() -> None:
    rng = random.Random(20261123)
    until = time.monotonic() + SECONDS
    units = sessions = errors = 0
    while time.monotonic() < until or sessions < 50:  # enough, however slow the machine is
        sessions += 1
        reader, recorder = Reader(), Recorder()
        reader.claim(0, 1, RtpStream(LINE, recorder))
        for turn in range(8):
            data = memoryview(bend(media(rng, 20 * turn), rng))
            while data:
                buffer = reader.get_buffer(-1)
                size = min(len(buffer), rng.choice([1, 7, 100, 1460, 20_000]), len(data))
                assert size > 0
                buffer[:size] = data[:size]
                reader.buffer_updated(size)
                data = data[size:]
        units += len(recorder.units)
        errors += reader.error is not None
        assert len(reader._buffer) == BUFFER_SIZE
    assert units > 100


def test_any_message_is_read_refused_or_waited_for() -> None:
    rng = random.Random(20261123)
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        data = bend(rng.choice([ANSWER, REQUEST]), rng)
        try:
            found = take_message(data)
        except ProtocolError:
            continue
        if found is not None:
            message, end = found
            assert 0 < end <= len(data)
            assert len(message.body) <= len(data)
            assert message.cseq is None or message.cseq >= 0


def test_any_header_is_read_or_refused() -> None:
    rng = random.Random(20261123)
    server = ServerAuthenticator("u", "p")
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        text = bend(rng.choice(HEADERS).encode(), rng, most=4).decode(errors="replace")
        parse_challenges([text])
        parse_rtp_info(text)
        server.check("PLAY", text)
        client = ClientAuthenticator("u", "p")
        if client.learn([text]):
            assert client.authorization("PLAY", "rtsp://h/s")
        for parse in (TransportSpec.parse, parse_session):
            try:
                parse(text)
            except ProtocolError:
                continue
