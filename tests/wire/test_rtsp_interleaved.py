import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.rtp_packets import Recorder, h264_fragments, interleaved, prefixed, rtp

from vms.common.clock import ManualClock
from vms.common.errors import VmsError
from vms.media import Codec, MediaKind
from vms.wire.errors import ProtocolError
from vms.wire.rtcp import Bye, SenderReport, SourceDescription, pack, unix_ns_to_ntp
from vms.wire.rtsp.interleaved import BUFFER_SIZE, GARBAGE_ALLOWED, InterleavedReader
from vms.wire.rtsp.media_line import MediaLine
from vms.wire.rtsp.message import Headers, Message, Response
from vms.wire.rtsp.stream import RtpStream

VIDEO = MediaLine(0, MediaKind.VIDEO, Codec.H264, "H264", 96, 90_000, 1, "rtsp://h/1")
AUDIO = MediaLine(1, MediaKind.AUDIO, Codec.PCMA, "PCMA", 8, 8_000, 1, "rtsp://h/2")
OK = Response(200, "OK", Headers([("CSeq", "7")]), b"$ body").pack()


class Reader(InterleavedReader):
    def __init__(self) -> None:
        super().__init__(ManualClock(monotonic_ns=5))
        self.messages: list[Message] = []
        self.error: VmsError | None = None
        self.ended: list[RtpStream] = []

    def message_received(self, message: Message) -> None:
        self.messages.append(message)

    def failed(self, error: VmsError) -> None:
        self.error = error

    def stream_ended(self, stream: RtpStream) -> None:
        self.ended.append(stream)


class Camera:
    """A reader with a video and an audio line on channels 0-1 and 2-3."""

    def __init__(self) -> None:
        self.reader = Reader()
        self.video, self.audio = Recorder(), Recorder()
        self.streams = [RtpStream(VIDEO, self.video), RtpStream(AUDIO, self.audio)]
        self.reader.claim(0, 1, self.streams[0])
        self.reader.claim(2, 3, self.streams[1])

    def feed(self, data: bytes, sizes: list[int] | None = None) -> None:
        """Deliver `data` in reads of these sizes, over and over."""
        position = number = 0
        while position < len(data):
            buffer = self.reader.get_buffer(-1)
            assert len(buffer) > 0
            size = sizes[number % len(sizes)] if sizes else len(data)
            piece = data[position : position + min(size, len(buffer))]
            buffer[: len(piece)] = piece
            self.reader.buffer_updated(len(piece))
            position += len(piece)
            number += 1


def slice_of(number: int, size: int = 2000) -> bytes:
    return b"\x41\x9a" + bytes((number & 0xFF,)) * size


def pictures(count: int, first: int = 0) -> bytes:
    """`count` pictures of two packets each with an audio packet after it, every tenth with a report."""
    data = b""
    for number in range(first, first + count):
        one, two = h264_fragments(slice_of(number), 1200)
        data += interleaved(rtp(one, 2 * number, 3600 * number))
        data += interleaved(rtp(two, 2 * number + 1, 3600 * number, marker=True))
        data += interleaved(rtp(bytes(160), number, 160 * number, payload_type=8), 2)
        if number % 10 == 3:
            report = SenderReport(7, unix_ns_to_ntp(number * 10**9), 3600 * number, 0, 0)
            data += interleaved(pack((report, SourceDescription(7, "camera"))), 1) + OK
    return data


@given(st.lists(st.one_of(st.integers(1, 50), st.integers(1, 5000)), min_size=1, max_size=8))
def test_packets_reports_and_answers_come_out_however_the_reads_are_cut(sizes: list[int]) -> None:
    camera = Camera()
    camera.feed(pictures(24), sizes)
    assert [unit.data for unit in camera.video.units] == [prefixed(slice_of(n)) for n in range(24)]
    assert [unit.timestamp for unit in camera.audio.units] == [160 * number for number in range(24)]
    assert [message.body for message in camera.reader.messages] == [b"$ body"] * 3
    assert camera.video.reports == [(n * 10**9, 3600 * n, 5) for n in (3, 13, 23)]
    assert camera.reader.error is None
    assert camera.reader.resynchronisations == 0
    assert [stream.packets for stream in camera.streams] == [48, 24]


def test_a_buffer_that_is_never_drained_goes_on_for_ever() -> None:
    camera = Camera()
    data = pictures(400)
    camera.feed(data[:7] + data[7:], [50_001])
    assert len(camera.video.units) == 400


def test_sequence_numbers_and_timestamps_wrap_without_a_loss() -> None:
    camera = Camera()
    camera.feed(pictures(40, first=32_750))
    assert len(camera.video.units) == 40
    assert camera.streams[0].packets_lost == 0
    assert not any(unit.lost for unit in camera.video.units)


def test_a_hole_breaks_its_picture_alone() -> None:
    camera = Camera()
    data = pictures(20)
    _, second = h264_fragments(slice_of(10), 1200)
    packet = interleaved(rtp(second, 21, 36_000, marker=True))
    assert packet in data
    camera.feed(data.replace(packet, b""))
    numbers = [unit.timestamp // 3600 for unit in camera.video.units]
    assert numbers == [*range(10), *range(11, 20)]
    assert [unit.timestamp // 3600 for unit in camera.video.units if unit.lost] == [11]
    assert camera.streams[0].packets_lost == 1
    assert camera.streams[0].depayloader.units_broken == 1


def test_packets_with_sources_extension_and_padding_are_taken_too() -> None:
    camera = Camera()
    payload = slice_of(1, 20)
    head = bytes.fromhex("b1e00001 00000e10 00000007 000000aa bede0001 10000000".replace(" ", ""))
    camera.feed(interleaved(rtp(slice_of(0, 20), 0, 0, marker=True)))
    camera.feed(interleaved(head + payload + b"\0\0\3"))
    camera.feed(interleaved(rtp(slice_of(2, 20), 2, 7200, marker=True)))
    assert [unit.data for unit in camera.video.units][1] == prefixed(payload)
    assert camera.streams[0].packets_lost == 0


def test_other_payload_types_empty_and_broken_packets_are_counted_and_leave_no_hole() -> None:
    camera = Camera()
    camera.feed(
        interleaved(rtp(slice_of(0), 0, 0, marker=True))
        + interleaved(rtp(b"comfort", 1, 0, payload_type=13))
        + interleaved(rtp(b"", 2, 0))
        + interleaved(b"short")
        + interleaved(b"\x40" + bytes(20))
        + interleaved(b"")
        + interleaved(rtp(slice_of(1), 3, 3600, marker=True))
        + interleaved(rtp(slice_of(2), 4, 7200, marker=True))
    )
    assert len(camera.video.units) == 2
    assert not any(unit.lost for unit in camera.video.units)
    stream = camera.streams[0]
    assert (stream.packets_of_other_type, stream.packets_invalid, stream.packets_lost) == (1, 3, 0)


def test_packets_of_channels_that_nobody_set_up_are_passed_over() -> None:
    camera = Camera()
    camera.feed(interleaved(bytes(100), 9) + pictures(3) + interleaved(bytes(3), 200))
    assert camera.reader.packets_unclaimed == 2
    assert len(camera.video.units) == 2


def test_reports_that_are_broken_are_counted_and_a_bye_ends_the_stream() -> None:
    camera = Camera()
    camera.feed(interleaved(b"\x80\xc8\xff\xff", 1) + interleaved(Bye((7,)).pack(), 3))
    assert camera.streams[0].reports_invalid == 1
    assert camera.reader.ended == [camera.streams[1]]


def test_a_report_of_a_sender_without_a_clock_says_nothing() -> None:
    camera = Camera()
    camera.feed(interleaved(SenderReport(7, 0, 1, 0, 0).pack(), 1))
    assert camera.video.reports == []


@pytest.mark.parametrize(
    "garbage", [b"\0" * 10, b"$$$$", b"abc$\x00\xff", bytes(range(256)) * 20, b"RTSX/1.0 "]
)
def test_framing_that_was_lost_is_found_again(garbage: bytes) -> None:
    camera = Camera()
    camera.feed(pictures(10) + garbage + pictures(30, first=10), [1460])
    assert camera.reader.error is None
    assert camera.reader.resynchronisations >= 1
    numbers = [unit.timestamp // 3600 for unit in camera.video.units]
    assert numbers[:9] == list(range(9))
    assert numbers[-15:] == list(range(25, 40))


def test_a_packet_that_lies_about_its_length_costs_little() -> None:
    camera = Camera()
    liar = bytearray(interleaved(rtp(slice_of(10, 1000), 20, 36_000, marker=True)))
    liar[2:4] = (500).to_bytes(2)
    camera.feed(pictures(10) + bytes(liar) + pictures(30, first=11))
    numbers = [unit.timestamp // 3600 for unit in camera.video.units]
    assert set(range(12, 40)) <= set(numbers)
    assert camera.reader.resynchronisations == 1


def test_a_peer_that_sends_nothing_but_garbage_is_given_up_with_a_typed_error() -> None:
    camera = Camera()
    camera.feed(pictures(3))
    camera.feed(random.Random(1).randbytes(4 * GARBAGE_ALLOWED), [8000])
    assert isinstance(camera.reader.error, ProtocolError)
    camera.feed(pictures(3))
    assert len(camera.video.units) < 10, "nothing is parsed after the error"


def test_a_peer_that_speaks_something_else_is_told_so_at_once() -> None:
    reader = Camera().reader
    for stream in list(reader._media.values()):
        reader.unclaim(stream)
    buffer = reader.get_buffer(-1)
    buffer[:12] = b"HTTP/1.1 400"
    reader.buffer_updated(12)
    assert "does not speak RTSP" in str(reader.error)


@pytest.mark.parametrize(
    "message", [b"RTSP/1.0 200 OK\r\n", b"RTSP/1.0 200 OK\r\nContent-Length: 999999\r\n\r\n"]
)
def test_an_endless_answer_does_not_fill_memory(message: bytes) -> None:
    camera = Camera()
    camera.feed(message + b"a: b\r\n" * 10_000, [3000])
    assert camera.reader.error is not None
    assert len(camera.reader._buffer) == BUFFER_SIZE


def test_channels_that_the_server_changed_are_those_that_count() -> None:
    camera = Camera()
    camera.reader.claim(10, 11, camera.streams[0])
    camera.feed(interleaved(rtp(slice_of(0), 0, 0, marker=True), 10))
    camera.feed(interleaved(rtp(slice_of(1), 1, 3600, marker=True), 10))
    camera.feed(interleaved(rtp(slice_of(2), 2, 7200, marker=True), 0))
    assert len(camera.video.units) == 1
    assert camera.reader.packets_unclaimed == 1
