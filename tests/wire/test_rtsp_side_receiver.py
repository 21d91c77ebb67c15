"""What travels beside the media: header extensions and APP packets, and who gets them."""

from tests.wire.rtp_packets import Recorder

from vms.media import Codec, MediaKind
from vms.wire import rtcp
from vms.wire.rtp import pack_extensions, pack_header
from vms.wire.rtsp.media_line import MediaLine
from vms.wire.rtsp.stream import RtpStream

VIDEO = MediaLine(0, MediaKind.VIDEO, Codec.H264, "H264", 96, 90_000, 1, "")
SLICE = b"\x41\x9a" + bytes(50)


class Side(Recorder):
    """Notes what comes, in one order with the units."""

    def header_extension(self, timestamp: int, profile: int, extension: bytes) -> None:
        self.events.append((timestamp.to_bytes(4), profile.to_bytes(2), extension))

    def application(self, packet: rtcp.Application) -> None:
        self.events.append((packet.name.encode(), packet.data))


def packet(number: int, timestamp: int, extension: bytes = b"", payload_type: int = 96) -> bytes:
    return pack_header(payload_type, number, timestamp, 7, marker=True, extension=extension) + SLICE


def test_an_extension_is_handed_on_before_the_unit_that_it_came_with() -> None:
    side = Side()
    stream = RtpStream(VIDEO, side, side, trust_markers=True)
    block = pack_extensions({1: b"abc"})
    for data in (packet(1, 10, block), packet(2, 20)):
        stream.irregular(data, 0, len(data), 0)
    told, unit, other = side.events
    assert told == (b"\0\0\0\x0a", b"\xbe\xde", b"\x12abc")
    assert [each.timestamp for each in (unit, other)] == [10, 20]  # type: ignore[union-attr]


def test_an_extension_of_another_payload_type_or_without_anybody_to_take_it_is_passed_over() -> None:
    side = Side()
    stream = RtpStream(VIDEO, side, side)
    data = packet(1, 10, pack_extensions({1: b"abc"}), payload_type=97)
    stream.irregular(data, 0, len(data), 0)
    assert side.events == []
    alone = Recorder()
    stream = RtpStream(VIDEO, alone, trust_markers=True)
    data = packet(1, 10, pack_extensions({1: b"abc"}))
    stream.irregular(data, 0, len(data), 0)
    assert len(alone.units) == 1


def test_app_packets_are_handed_on_in_order() -> None:
    side = Side()
    stream = RtpStream(VIDEO, side, side)
    reports = [rtcp.ReceiverReport(7), rtcp.Application(7, "ABCD", b"1234"), rtcp.Application(7, "EFGH", b"")]
    stream.rtcp(rtcp.pack(reports), 0)
    assert side.events == [(b"ABCD", b"1234"), (b"EFGH", b"")]
    RtpStream(VIDEO, Recorder()).rtcp(rtcp.pack(reports), 0)
