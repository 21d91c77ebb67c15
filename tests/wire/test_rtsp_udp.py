import asyncio
import random

from hypothesis import given
from hypothesis import strategies as st
from tests.wire.rtp_packets import Recorder, rtp

from vms.common.clock import ManualClock, SystemClock
from vms.common.errors import InvalidInput, VmsError
from vms.media import Codec, MediaKind
from vms.wire.rtcp import SenderReport, unix_ns_to_ntp
from vms.wire.rtsp.media_line import MediaLine
from vms.wire.rtsp.stream import RtpStream
from vms.wire.rtsp.udp import REORDER_PACKETS, REORDER_S, ReorderBuffer, UdpPair

AUDIO = MediaLine(0, MediaKind.AUDIO, Codec.PCMA, "PCMA", 8, 8_000, 1, "rtsp://h/2")


def packet(number: int) -> bytes:
    return rtp(number.to_bytes(4), number, number * 160, payload_type=8)


class Stream:
    def __init__(self) -> None:
        self.recorder = Recorder()
        self.stream = RtpStream(AUDIO, self.recorder)
        self.errors: list[VmsError] = []
        self.order = ReorderBuffer(self.stream, ManualClock(), self.errors.append)

    def push(self, *numbers: int) -> None:
        for number in numbers:
            self.order.push(packet(number))

    @property
    def numbers(self) -> list[int]:
        return [int.from_bytes(unit.data) for unit in self.recorder.units]

    @property
    def lost(self) -> list[int]:
        return [int.from_bytes(unit.data) for unit in self.recorder.units if unit.lost]


@given(st.integers(0, 0xFFFF), st.integers(2, 200), st.integers(0, 20), st.integers(0, 2**32))
def test_packets_out_of_order_are_put_in_order(first: int, count: int, disorder: int, seed: int) -> None:
    async def run() -> None:
        numbers = list(range(first + 1, first + count))
        spread = random.Random(seed)
        numbers.sort(key=lambda number: number + spread.uniform(0, disorder))
        stream = Stream()
        stream.push(first, *numbers)
        assert stream.numbers == list(range(first, first + count))
        assert stream.stream.packets_lost == 0
        assert stream.lost == []

    asyncio.run(run())


async def test_a_doubled_packet_is_delivered_once() -> None:
    stream = Stream()
    stream.push(1, 1, 2, 4, 4, 3, 2)
    assert stream.numbers == [1, 2, 3, 4]
    assert stream.stream.packets_late == 3
    assert stream.order.packets_reordered == 1


async def test_a_missing_packet_is_given_up_after_so_many_packets() -> None:
    stream = Stream()
    stream.push(1, *range(3, 3 + REORDER_PACKETS))
    assert stream.numbers == [1]
    stream.push(3 + REORDER_PACKETS)
    assert stream.numbers == [1, *range(3, 4 + REORDER_PACKETS)]
    assert stream.lost == [3]
    assert stream.stream.packets_lost == 1
    stream.push(2)
    assert stream.stream.packets_late == 1


async def test_a_missing_packet_is_given_up_after_so_long() -> None:
    stream = Stream()
    stream.push(1, 3, 4, 6)
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    async with asyncio.timeout(20):
        while stream.numbers != [1, 3, 4, 6]:
            await asyncio.sleep(REORDER_S / 10)
    assert loop.time() - begun_s >= REORDER_S * 0.9
    assert stream.lost == [3, 6]


async def test_what_waits_is_handed_on_at_the_end() -> None:
    stream = Stream()
    stream.push(1, 3, 5)
    stream.order.close()
    assert stream.numbers == [1, 3, 5]


async def test_a_receiver_that_cannot_use_what_comes_ends_the_stream_with_its_error() -> None:
    stream = Stream()
    stream.push(1)

    def refuse(*unit: object) -> None:
        raise InvalidInput("not usable")

    stream.recorder.access_unit = refuse  # type: ignore[method-assign]
    stream.push(2, 3)
    assert [str(error) for error in stream.errors] == ["not usable"]


async def test_runts_are_counted() -> None:
    stream = Stream()
    stream.order.push(b"runt")
    assert stream.stream.packets_invalid == 1


async def test_a_pair_takes_media_and_reports_of_the_announced_sender_alone() -> None:
    recorder = Recorder()
    stream = RtpStream(AUDIO, recorder)
    pair = UdpPair(stream, SystemClock(), lambda ended: None, lambda error: None)
    await pair.open("127.0.0.1")
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
    try:
        assert pair.ports[0] % 2 == 0
        assert pair.ports[1] == pair.ports[0] + 1
        pair.expect(("192.0.2.1",), None)
        transport.sendto(packet(1), ("127.0.0.1", pair.ports[0]))
        await _until(lambda: pair.packets_foreign == 1)
        pair.expect(("127.0.0.1",), transport.get_extra_info("sockname"))
        transport.sendto(packet(2), ("127.0.0.1", pair.ports[0]))
        report = SenderReport(7, unix_ns_to_ntp(10**9), 320, 0, 0)
        transport.sendto(report.pack(), ("127.0.0.1", pair.ports[1]))
        await _until(lambda: recorder.units and recorder.reports)
        assert recorder.reports[0][:2] == (10**9, 320)
        assert pair.flowed()
        assert not pair.flowed()
    finally:
        transport.close()
        pair.close()


async def _until(condition) -> None:  # type: ignore[no-untyped-def]
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)
