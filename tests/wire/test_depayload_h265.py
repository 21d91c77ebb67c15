import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.rtp_packets import Recorder, h265_aggregate, h265_fragments, prefixed

from vms.wire.depayload.h265 import H265Depayloader
from vms.wire.reception import Reception

# As x265 wrote them for 640 × 360.
VPS = bytes.fromhex("40010c01ffff0408000003009808000003 00003fba0240".replace(" ", ""))
SPS = bytes.fromhex("420101040800000300980800000300003f9000a0402e3e24a52dd252617ff80008000b50606060")
PPS = bytes.fromhex("4401c0703060312 0".replace(" ", ""))
AUD = b"\x46\x01\x50"
SEI = b"\x4e\x01\x05\x01\x00\x80"
SUFFIX_SEI = b"\x50\x01\x05\x01\x00\x80"
IDR = b"\x26\x01\xaf" + bytes(range(200)) * 20
CRA = b"\x2a\x01\xaf" + bytes(range(50))
SLICE = b"\x02\x01\xd0" + bytes(range(100))
LATER_SLICE = b"\x02\x01\x40" + bytes(range(100))


class Line:
    def __init__(self, *sets: bytes) -> None:
        self.recorder = Recorder()
        self.depayloader = H265Depayloader(self.recorder, Reception(90_000), sets)

    def send(self, timestamp: int, *payloads: bytes, marker: bool = True) -> None:
        for index, payload in enumerate(payloads):
            last = marker and index == len(payloads) - 1
            self.depayloader.push(payload, 0, len(payload), timestamp, last, 0)

    @property
    def data(self) -> list[bytes]:
        return [unit.data for unit in self.recorder.units]


def test_single_units_fragments_and_aggregates_make_one_unit_in_order() -> None:
    line = Line()
    line.send(10, AUD, h265_aggregate(VPS, SPS, PPS, SEI), *h265_fragments(IDR, 300), LATER_SLICE, SUFFIX_SEI)
    line.send(20, CRA)
    line.send(30, SLICE)
    line.send(40, SLICE)
    assert line.data == [
        prefixed(AUD, VPS, SPS, PPS, SEI, IDR, LATER_SLICE, SUFFIX_SEI),
        prefixed(CRA),
        prefixed(SLICE),
    ]
    assert [unit.key for unit in line.recorder.units] == [True, True, False]


@given(
    st.lists(
        st.lists(
            st.tuples(st.sampled_from([0x02, 0x26, 0x4E, 0x46, 0x2A]), st.binary(min_size=4, max_size=300)),
            max_size=4,
        ),
        min_size=1,
        max_size=6,
    ),
    st.integers(1, 100),
    st.randoms(),
)
def test_whatever_the_packets_every_nal_unit_comes_out_as_it_was_sent(
    pictures: list, size: int, random: object
) -> None:
    line = Line()
    sent = []
    for number, parts in enumerate(pictures):
        nals = [bytes((kind, 1, 0x80)) + body for kind, body in parts] + [SLICE]
        payloads: list[bytes] = []
        for nal in nals:
            how = random.choice(["single", "fragments", "aggregate"])  # type: ignore[attr-defined]
            if how == "fragments" and len(nal) > size + 2:
                payloads += h265_fragments(nal, size)
            else:
                payloads.append(h265_aggregate(nal) if how == "aggregate" else nal)
        line.send(number * 3600, *payloads)
        sent.append(prefixed(*nals))
    line.depayloader.flush()
    assert line.data == sent


def test_a_suffix_sei_stays_with_its_picture_and_a_prefix_sei_goes_with_the_next() -> None:
    line = Line()
    line.send(1, SLICE, SUFFIX_SEI, SEI, marker=False)
    line.send(2, SLICE, marker=False)
    line.send(3, SLICE, marker=False)
    assert line.data == [prefixed(SLICE, SUFFIX_SEI), prefixed(SEI, SLICE)]


def test_a_hole_breaks_the_picture_and_what_follows_says_lost() -> None:
    line = Line()
    line.send(1, SLICE)
    line.send(2, *h265_fragments(IDR, 500)[:3], marker=False)
    line.depayloader.lost()
    line.send(3, LATER_SLICE)
    line.send(4, SLICE)
    line.send(5, SLICE)
    assert line.data == [prefixed(SLICE), prefixed(SLICE)]
    assert line.depayloader.units_broken == 2
    assert [unit.lost for unit in line.recorder.units] == [False, True]


def test_sets_in_band_are_told_in_order_of_their_kind() -> None:
    line = Line()
    line.send(1, PPS, SPS, VPS, IDR)
    line.send(2, SLICE)
    assert line.recorder.events[0] == (VPS, SPS, PPS)


def test_sets_as_in_the_description_are_not_news_and_changed_ones_are() -> None:
    line = Line(VPS, SPS, PPS)
    line.send(1, VPS, SPS, PPS, IDR)
    line.send(2, SLICE)
    assert len(line.recorder.events) == 1
    changed = SPS[:-1] + b"\x61"
    line.send(3, VPS, changed, PPS, IDR)
    line.send(4, SLICE)
    assert line.recorder.events[2] == (VPS, changed, PPS)


def test_parameter_set_numbers_are_read_behind_sub_layer_levels() -> None:
    # max_sub_layers_minus1 = 1, one sub-layer with a profile and a level, then ue(v) 2: 011.
    layered = bytes((0x42, 0x01, 0x03)) + bytes(12) + b"\xc0\x00" + bytes(11) + bytes(1) + b"\x60" + bytes(4)
    layered = layered.replace(b"\0\0", b"\1\1")
    layered = layered[:15] + b"\xc0\x00" + layered[17:]
    assert H265Depayloader._parameter_set_key(layered) == (33, 2)


@pytest.mark.parametrize("first", [50 << 1, 63 << 1])
def test_packets_of_other_kinds_are_ignored_and_counted(first: int) -> None:
    line = Line()
    line.send(1, SLICE, marker=False)
    line.send(1, bytes((first, 1)) + bytes(10), b"\x02", b"", marker=False)
    line.send(2, SLICE)
    assert line.data == [prefixed(SLICE)]
    assert line.depayloader.packets_ignored == 3


def test_the_end_of_a_sequence_which_is_a_header_alone_stays_with_its_picture() -> None:
    end_of_sequence = b"\x48\x01"
    line = Line()
    line.send(10, SLICE, end_of_sequence)
    line.send(20, h265_aggregate(SLICE, end_of_sequence))
    line.send(30, SLICE)
    line.send(40, SLICE)
    assert line.data[:2] == [prefixed(SLICE, end_of_sequence)] * 2
