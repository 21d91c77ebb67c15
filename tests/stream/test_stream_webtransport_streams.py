"""Which pictures a WebTransport viewer's connection goes on with when not all can be sent."""

import ssl

from aioquic.h3.connection import H3_ALPN
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import StreamDataReceived, StreamReset
from tests.stream.lossy_quic import lossy_quic
from tests.stream.scripted_stream import Camera, h264_pictures, track_of
from tests.stream.webtransport_client import connected, serving

from vms.common.clock import SystemClock
from vms.stream.quic.certificate import make_certificate
from vms.stream.quic.http3 import Http3
from vms.stream.quic.messages import Flag, Picture
from vms.stream.quic.streams import PictureStreams

TRACK = track_of(h264_pictures())
FIRST = Flag.KEY | Flag.AFRESH
NONE = Flag(0)
SERVER, CLIENT = ("127.0.0.1", 1), ("127.0.0.1", 2)


class Pair:
    """A server's end and a client's, whose datagrams this carries. whole: what came to its end; reset: likewise."""

    def __init__(self) -> None:
        made = make_certificate(SystemClock().wall_ns())
        self.now_s = 0.0
        self.client = QuicConnection(
            configuration=QuicConfiguration(
                alpn_protocols=H3_ALPN, is_client=True, verify_mode=ssl.CERT_NONE, server_name="localhost"
            )
        )
        self.client.connect(SERVER, now=0)
        self.server = QuicConnection(
            configuration=QuicConfiguration(
                alpn_protocols=H3_ALPN,
                is_client=False,
                certificate=made.certificate,
                private_key=made.key,  # type: ignore[arg-type]
            ),
            original_destination_connection_id=self.client.original_destination_connection_id,
        )
        self.whole: dict[int, bytes] = {}
        self.reset: set[int] = set()
        self._partial: dict[int, bytes] = {}
        self.settle(2)
        self.streams = PictureStreams(self.server, Http3(self.server), 0)

    def send(self, flags: Flag = NONE, size: int = 100, at_ns: int = 0) -> int:
        """Hand a picture over; the id of its stream."""
        stream_id = self.server.get_next_available_stream_id(is_unidirectional=True)
        picture = Picture(TRACK, bytes(size), Flag.KEY in flags, at_ns, at_ns, at_ns, at_ns)
        self.streams.send_picture(b"", picture, flags)
        return stream_id

    def lose(self) -> None:
        """What the server sends now comes to nobody."""
        self.server.datagrams_to_send(now=self.now_s)

    def settle(self, for_s: float = 1) -> None:
        """Carry datagrams both ways, and let time go on."""
        end_s = self.now_s + for_s
        while self.now_s < end_s:
            for data, _ in self.client.datagrams_to_send(now=self.now_s):
                self.server.receive_datagram(data, CLIENT, now=self.now_s)
            for data, _ in self.server.datagrams_to_send(now=self.now_s):
                self.client.receive_datagram(data, SERVER, now=self.now_s)
            self.now_s += 0.01
            for end in (self.client, self.server):
                timer_s = end.get_timer()
                if timer_s is not None and timer_s <= self.now_s:
                    end.handle_timer(now=self.now_s)
            self._take()

    def _take(self) -> None:
        while (event := self.client.next_event()) is not None:
            if isinstance(event, StreamReset):
                self.reset.add(event.stream_id)
            elif isinstance(event, StreamDataReceived):
                data = self._partial[event.stream_id] = self._partial.get(event.stream_id, b"") + event.data
                if event.end_stream:
                    self.whole[event.stream_id] = data
        while self.server.next_event() is not None:
            pass


def test_a_key_picture_that_is_under_way_is_sent_to_its_end() -> None:
    pair = Pair()
    key = pair.send(FIRST, size=200_000)
    pair.lose()
    unsent = pair.streams.unsent
    assert unsent is not None
    assert unsent.stream_id == key
    pair.streams.skip()
    assert pair.streams.unsent == unsent
    pair.settle(5)
    assert len(pair.whole[key]) > 200_000
    assert pair.streams.resets == 0


def test_another_picture_that_is_under_way_is_not() -> None:
    pair = Pair()
    key = pair.send(FIRST)
    pair.settle()
    other = pair.send(size=200_000)
    pair.lose()
    pair.streams.skip()
    assert pair.streams.unsent is None
    assert pair.streams.resets == 1
    pair.settle(5)
    assert key in pair.whole
    assert (other in pair.whole, other in pair.reset) == (False, True)


def test_what_was_sent_and_lost_is_not_sent_again_after_pictures_were_left_out() -> None:
    pair = Pair()
    pair.send(FIRST)
    pair.settle()
    lost = [pair.send(), pair.send()]
    pair.lose()
    pair.streams.skip()
    for _ in range(20):
        pair.settle(0.1)
        assert pair.streams.unsent is None
    fresh = pair.send(FIRST)
    pair.settle()
    assert fresh in pair.whole
    assert set(lost) <= pair.reset
    assert not set(lost) & pair.whole.keys()


def test_a_key_picture_is_given_up_once_one_that_begins_afresh_is_sent() -> None:
    pair = Pair()
    old = pair.send(FIRST)
    pair.lose()
    pair.streams.skip()
    pair.send(FIRST)
    pair.lose()
    assert old not in pair.reset
    pair.send()
    pair.settle(2)
    assert old in pair.reset
    assert len(pair.whole) == 2


def test_what_was_before_a_key_picture_that_follows_on_it_is_sent_again_when_it_is_lost() -> None:
    pair = Pair()
    pair.send(FIRST)
    pair.settle()
    lost = pair.send()
    pair.lose()
    pair.send(Flag.KEY)
    pair.send()
    pair.settle(2)
    assert lost in pair.whole


def test_pictures_that_are_acknowledged_are_kept_no_longer() -> None:
    pair = Pair()
    pair.send(FIRST, size=5 << 20)
    assert not pair.streams.is_overloaded, "one picture may be as large as it is"
    pair.settle(30)
    pair.send(size=5 << 20)
    assert not pair.streams.is_overloaded
    pair.send(size=5 << 20)
    assert pair.streams.is_overloaded
    pair.settle(60)
    assert not pair.streams.is_overloaded


def large_keys(key_bytes: int, gop: int) -> tuple[tuple[bytes, bool], ...]:
    """Pictures whose key pictures are much larger than the others, if not decodable to their end."""

    def grown(data: bytes) -> bytes:
        """The last NAL unit, which is a slice, made longer."""
        at = 0
        while at + 4 + int.from_bytes(data[at : at + 4]) < len(data):
            at += 4 + int.from_bytes(data[at : at + 4])
        length = int.from_bytes(data[at : at + 4]) + key_bytes
        return data[:at] + length.to_bytes(4) + data[at + 4 :] + b"\x55" * key_bytes

    return tuple((grown(data) if key else data, key) for data, key in h264_pictures(2 * gop, gop=gop))


async def test_on_a_link_where_a_key_picture_takes_longer_than_the_next_one_is_away_key_pictures_come() -> (
    None
):
    camera = Camera(large_keys(20_000, gop=5))
    async with (
        serving(camera) as served,
        camera.live(),
        lossy_quic(served.port, delay_s=0.01, rate_bytes_s=50_000) as (relay, port),
        connected(port) as client,
    ):
        client.ask(served.path())
        await client.until(lambda: len(client.pictures) > 5)
        relay.begin_losing()
        before = len(client.pictures)
        await client.until(lambda: sum(each.key for each in client.pictures[before:]) >= 5)
        (viewer,) = served.service.viewers
        assert viewer.skipped > 0
