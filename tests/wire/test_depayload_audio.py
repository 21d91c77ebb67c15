import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.rtp_packets import Recorder

from vms.wire.depayload.aac import AacDepayloader, AacFormat
from vms.wire.depayload.g711 import G711Depayloader
from vms.wire.depayload.opus import OpusDepayloader
from vms.wire.errors import UnsupportedMedia
from vms.wire.reception import Reception

HBR = {
    "mode": "AAC-hbr",
    "config": "1210",
    "sizelength": "13",
    "indexlength": "3",
    "indexdeltalength": "3",
}


def aac_packet(*frames: bytes, sizes: list[int] | None = None, index: int = 0) -> bytes:
    """RFC 3640 §3.2 with 13 bits of size and 3 of index."""
    headers = [size << 3 for size in (sizes or map(len, frames))]
    if index:
        headers[-1] |= index
    return (16 * len(headers)).to_bytes(2) + b"".join(h.to_bytes(2) for h in headers) + b"".join(frames)


class Line:
    def __init__(self, **changes: str) -> None:
        self.recorder = Recorder()
        aac = AacFormat.parse(HBR | changes, 44_100)
        self.depayloader = AacDepayloader(self.recorder, Reception(44_100), aac)

    def send(self, payload: bytes, timestamp: int, *, marker: bool = True) -> None:
        buffer = bytearray(b"ab" + payload + b"yz")
        self.depayloader.push(buffer, 2, 2 + len(payload), timestamp, marker, timestamp)

    @property
    def frames(self) -> list[tuple[int, bytes]]:
        return [(unit.timestamp, unit.data) for unit in self.recorder.units]


@given(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=12), st.integers(0, 2**32 - 1))
def test_every_aac_frame_of_a_packet_comes_out_1024_ticks_after_the_one_before(
    frames: list[bytes], timestamp: int
) -> None:
    line = Line()
    line.send(aac_packet(*frames), timestamp)
    assert line.frames == [(timestamp + 1024 * number, frame) for number, frame in enumerate(frames)]
    assert all(unit.key for unit in line.recorder.units)


def test_an_aac_frame_over_several_packets_is_one_unit() -> None:
    line = Line()
    frame = bytes(range(250)) * 8
    for offset in range(0, 2000, 700):
        line.send(aac_packet(frame[offset : offset + 700], sizes=[2000]), 5, marker=offset == 1400)
    assert line.frames == [(5, frame)]


def test_an_aac_frame_with_a_hole_is_dropped_and_the_next_says_lost() -> None:
    line = Line()
    line.send(aac_packet(b"first"), 0)
    line.send(aac_packet(bytes(700), sizes=[2000]), 1024)
    line.depayloader.lost()
    line.send(aac_packet(bytes(600), sizes=[2000]), 1024)
    line.send(aac_packet(b"second"), 2048)
    assert line.frames == [(0, b"first"), (2048, b"second")]
    assert [unit.lost for unit in line.recorder.units] == [False, True]
    assert line.depayloader.units_broken == 2


def test_a_packet_that_lies_about_aac_sizes_delivers_what_is_whole() -> None:
    line = Line()
    line.send(aac_packet(b"whole", b"cut", sizes=[5, 400]), 0)
    assert line.frames == [(0, b"whole")]
    assert line.depayloader.units_broken == 1


@pytest.mark.parametrize(
    "payload",
    [b"", b"\0\x10", b"\0\0\0\0", b"\xff\xff\0\0\0", aac_packet(b"a", b"b", index=1), b"\0\x10\0\0x"],
)
def test_aac_packets_that_make_no_sense_are_ignored_and_counted(payload: bytes) -> None:
    line = Line()
    line.send(payload, 0)
    assert line.frames == []
    assert line.depayloader.packets_ignored == 1


def test_endless_aac_fragments_do_not_fill_memory() -> None:
    line = Line()
    for _ in range(1000):
        line.send(aac_packet(bytes(1000), sizes=[8191]), 0)
        assert len(line.depayloader._pieces) <= 8191
    assert line.frames == []


def test_the_aac_clock_is_that_of_the_description() -> None:
    # HE-AAC announced by its output rate: a frame of the 22,050 Hz core is 2,048 ticks of 44,100 Hz.
    assert AacFormat.parse(HBR | {"config": "1390"}, 44_100).frame_ticks == 2048
    assert AacFormat.parse(HBR | {"constantduration": "960"}, 44_100).frame_ticks == 960


@pytest.mark.parametrize(
    "changes",
    [
        {"config": ""},
        {"config": "zz"},
        {"config": "17ff"},
        {"sizelength": "0"},
        {"sizelength": "many"},
        {"indexdeltalength": "2"},
        {"ctsdeltalength": "4"},
    ],
)
def test_an_aac_line_that_cannot_be_taken_apart_is_said_to_be_unsupported(changes: dict[str, str]) -> None:
    with pytest.raises(UnsupportedMedia):
        AacFormat.parse(HBR | changes, 44_100)


@pytest.mark.parametrize("kind", [G711Depayloader, OpusDepayloader])
def test_a_packet_of_g711_or_opus_is_a_unit(kind: type[G711Depayloader | OpusDepayloader]) -> None:
    recorder = Recorder()
    depayloader = kind(recorder, Reception(8000))
    depayloader.push(bytearray(b"..abc.."), 2, 5, 0xFFFF_FFFF, 1, 9)
    depayloader.lost()
    depayloader.push(b"", 0, 0, 80, 0, 9)
    depayloader.push(b"def", 0, 3, 159, 0, 10)
    assert [(u.data, u.timestamp, u.key, u.lost, u.arrival_ns) for u in recorder.units] == [
        (b"abc", 0xFFFF_FFFF, True, False, 9),
        (b"def", 0x1_0000_009F, True, True, 10),
    ]
    assert depayloader.packets_ignored == 1
