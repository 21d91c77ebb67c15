from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.rtp_packets import Recorder, h264_aggregate, h264_fragments, prefixed

from vms.wire.depayload.h264 import H264Depayloader
from vms.wire.reception import Reception

SPS = bytes.fromhex("6742c015d9014 1fb016a0c0c0d4a".replace(" ", ""))
PPS = bytes.fromhex("68cb8cb2")
OTHER_SPS = bytes.fromhex("6764001facd940c01268400000")
AUD = b"\x09\xf0"
SEI = b"\x06\x05\x01\x00\x80"
IDR = b"\x65\x88" + bytes(range(200)) * 20
SLICE = b"\x41\x9a" + bytes(range(100))
LATER_SLICE = b"\x41\x02" + bytes(range(100))  # first_mb_in_slice is not 0


class Line:
    """Packets into a depayloader; each is `arrival` ns old, one more than the one before."""

    def __init__(self, *sets: bytes) -> None:
        self.recorder = Recorder()
        self.depayloader = H264Depayloader(self.recorder, Reception(90_000), sets)
        self.arrival = 0

    def send(self, timestamp: int, *payloads: bytes, marker: bool = True) -> None:
        """One picture's payloads; the marker, if any, on the last."""
        for index, payload in enumerate(payloads):
            last = marker and index == len(payloads) - 1
            self.push(timestamp, payload, last)

    def push(self, timestamp: int, payload: bytes, marker: bool) -> None:
        self.arrival += 1
        buffer = bytearray(b"before" + payload + b"behind")
        self.depayloader.push(buffer, 6, 6 + len(payload), timestamp, marker, self.arrival)
        buffer[:] = bytes(len(buffer))  # the buffer is used again

    def trust(self, first: int = 1) -> int:
        """Send pictures until markers are believed; the next timestamp."""
        for number in range(5):
            self.send(first + number, SLICE)
        self.recorder.events.clear()
        return first + 5

    @property
    def data(self) -> list[bytes]:
        return [unit.data for unit in self.recorder.units]


def test_single_units_fragments_and_aggregates_make_one_unit_in_order() -> None:
    line = Line()
    line.send(10, AUD, h264_aggregate(SPS, PPS, SEI), *h264_fragments(IDR, 300), LATER_SLICE)
    line.send(20, SLICE)
    assert line.data == [prefixed(AUD, SPS, PPS, SEI, IDR, LATER_SLICE)]
    (unit,) = line.recorder.units
    assert (unit.timestamp, unit.key, unit.lost) == (10, True, False)


nal_units = st.tuples(
    st.sampled_from([0x41, 0x65, 0x06, 0x09, 0x01, 0x67, 0x68, 0x0C]), st.binary(min_size=1, max_size=400)
).map(lambda parts: bytes((parts[0], 0x80 | parts[1][0])) + parts[1])


@given(
    st.lists(
        st.tuples(st.lists(nal_units, min_size=1, max_size=5), st.integers(1, 200)), min_size=1, max_size=8
    ),
    st.randoms(),
)
def test_whatever_the_packets_every_nal_unit_comes_out_as_it_was_sent(pictures: list, random: object) -> None:
    line = Line()
    sent = []
    for number, (nals, size) in enumerate(pictures):
        nals = [AUD, *nals, SLICE]
        payloads: list[bytes] = []
        for nal in nals:
            how = random.choice(["single", "fragments", "aggregate"])  # type: ignore[attr-defined]
            if how == "fragments" and len(nal) > size + 1:
                payloads += h264_fragments(nal, size)
            elif how == "aggregate":
                payloads.append(h264_aggregate(nal))
            else:
                payloads.append(nal)
        line.send(number * 3600, *payloads)
        sent.append(prefixed(*nals))
    line.depayloader.flush()
    assert line.data == sent
    assert line.depayloader.units_broken == 0


def test_a_new_timestamp_ends_a_picture_where_no_marker_came() -> None:
    line = Line()
    for timestamp in range(0, 30_000, 3000):
        line.send(timestamp, SLICE, LATER_SLICE, marker=False)
    assert line.data == [prefixed(SLICE, LATER_SLICE)] * 9
    assert [unit.timestamp for unit in line.recorder.units] == list(range(0, 27_000, 3000))


def test_a_unit_bears_the_arrival_of_its_last_packet() -> None:
    line = Line()
    line.send(1, SLICE, LATER_SLICE, marker=False)
    line.send(2, SLICE)
    assert [unit.arrival_ns for unit in line.recorder.units] == [2]


def test_a_marker_ends_a_picture_at_once_after_markers_proved_right() -> None:
    line = Line()
    for number in range(1, 5):
        line.send(number, SLICE)
        assert len(line.data) == number - 1, "held until the next picture shows that the marker was right"
    line.send(5, SLICE)
    assert len(line.data) == 5
    line.send(6, *h264_fragments(IDR, 500))
    assert line.data[-1] == prefixed(IDR)


def test_markers_on_every_slice_are_found_out_before_they_do_harm() -> None:
    line = Line()
    for timestamp in range(1, 11):
        line.push(timestamp, SLICE, True)
        line.push(timestamp, LATER_SLICE, True)
    assert line.data == [prefixed(SLICE, LATER_SLICE)] * 9
    assert line.depayloader.units_broken == 0


def test_markers_that_begin_to_lie_cost_one_picture_and_are_not_believed_again() -> None:
    line = Line()
    after = line.trust()
    for timestamp in range(after, after + 5):
        line.push(timestamp, SLICE, True)
        line.push(timestamp, LATER_SLICE, True)
    # The first was delivered by its first marker; its rest cannot be, and what follows says so.
    assert line.data == [prefixed(SLICE)] + [prefixed(SLICE, LATER_SLICE)] * 3
    assert [unit.lost for unit in line.recorder.units] == [False, True, False, False]
    assert line.depayloader.units_broken == 1
    timestamps = [unit.timestamp for unit in line.recorder.units]
    assert all(first < second for first, second in pairwise(timestamps))


def test_markers_on_parameter_sets_end_nothing() -> None:
    line = Line()
    timestamp = line.trust()
    for _ in range(2):
        line.push(timestamp, SPS, True)
        line.push(timestamp, PPS, True)
        line.send(timestamp, *h264_fragments(IDR, 900))
        timestamp += 1
    assert line.data == [prefixed(SPS, PPS, IDR)] * 2


def test_parameter_sets_with_the_timestamp_of_the_picture_before_go_with_the_one_they_precede() -> None:
    line = Line()
    timestamp = line.trust()
    line.send(timestamp, SLICE)
    line.send(timestamp, SPS, PPS, marker=False)
    line.send(timestamp + 1, IDR)
    assert line.data == [prefixed(SLICE), prefixed(SPS, PPS, IDR)]
    assert line.depayloader.units_broken == 0


def test_the_same_where_there_are_no_markers() -> None:
    line = Line()
    line.send(1, SLICE, SPS, PPS, marker=False)
    line.send(2, IDR, SEI, marker=False)
    line.send(3, SLICE, marker=False)
    line.send(4, SLICE, marker=False)
    assert line.data == [prefixed(SLICE), prefixed(SPS, PPS, IDR), prefixed(SEI, SLICE)]


def test_parameter_sets_with_a_timestamp_of_their_own_take_that_of_their_picture() -> None:
    line = Line()
    line.send(5, SPS, PPS)
    line.send(6, IDR)
    line.send(7, SLICE)
    assert line.data == [prefixed(SPS, PPS, IDR)]
    assert line.recorder.units[0].timestamp == 6


def test_a_filler_behind_the_last_slice_stays_with_its_picture() -> None:
    line = Line()
    filler = b"\x0c\xff\xff\x80"
    line.send(1, SLICE, filler, marker=False)
    line.send(2, SLICE, marker=False)
    assert line.data == [prefixed(SLICE, filler)]


def test_timestamps_go_back_with_b_frames_and_on_over_the_wrap() -> None:
    line = Line()
    for timestamp in (0xFFFF_F000, 0x2000, 0xFFFF_FF00, 0x1000, 0x5000):
        line.send(timestamp & 0xFFFFFFFF, SLICE)
    assert [unit.timestamp for unit in line.recorder.units[:4]] == [
        0xFFFF_F000,
        0x1_0000_2000,
        0xFFFF_FF00,
        0x1_0000_1000,
    ]


# What is missing.


def test_a_picture_with_a_hole_is_dropped_and_the_next_says_lost() -> None:
    line = Line()
    timestamp = line.trust()
    fragments = h264_fragments(IDR, 500)
    for payload in fragments[:2]:
        line.push(timestamp, payload, False)
    line.depayloader.lost()
    for payload in fragments[3:]:
        line.push(timestamp, payload, payload is fragments[-1])
    assert line.data == []
    assert line.depayloader.units_broken == 1
    line.send(timestamp + 1, SLICE)
    line.send(timestamp + 2, SLICE)
    assert [unit.lost for unit in line.recorder.units] == [True, False]


def test_a_hole_over_the_end_of_one_and_the_beginning_of_the_next_breaks_both() -> None:
    line = Line()
    timestamp = line.trust()
    fragments = h264_fragments(IDR, 500)
    line.push(timestamp, fragments[0], False)
    line.depayloader.lost()
    line.send(timestamp + 1, *fragments[2:])
    line.send(timestamp + 2, SLICE)
    assert line.data == [prefixed(SLICE)]
    assert line.depayloader.units_broken == 2


def test_a_hole_of_whole_pictures_breaks_none_of_the_others() -> None:
    line = Line()
    timestamp = line.trust()
    line.send(timestamp, SLICE)
    line.depayloader.lost()
    line.send(timestamp + 2, *h264_fragments(IDR, 500))
    assert line.data == [prefixed(SLICE), prefixed(IDR)]
    assert [unit.lost for unit in line.recorder.units] == [False, True]
    assert line.depayloader.units_broken == 0


@pytest.mark.parametrize("later", [LATER_SLICE, h264_fragments(IDR, 500)[1], b"\x41\x02"])
def test_after_a_hole_a_picture_without_its_beginning_is_broken(later: bytes) -> None:
    line = Line()
    timestamp = line.trust()
    line.depayloader.lost()
    line.send(timestamp, later)
    line.send(timestamp + 1, SLICE)
    assert line.data == [prefixed(SLICE)]
    assert line.depayloader.units_broken == 1


def test_a_session_that_begins_in_the_middle_of_a_picture_leaves_it_out_without_calling_it_a_loss() -> None:
    line = Line()
    line.send(1, *h264_fragments(IDR, 500)[3:])
    line.send(2, SLICE)
    line.send(3, SLICE)
    assert line.data == [prefixed(SLICE)]
    assert not line.recorder.units[0].lost


def test_a_fragment_without_its_beginning_breaks_the_picture_even_without_a_hole() -> None:
    line = Line()
    timestamp = line.trust()
    line.send(timestamp, SLICE, h264_fragments(IDR, 500)[1])
    line.send(timestamp + 1, SLICE)
    assert line.data == [prefixed(SLICE)]
    assert line.recorder.units[0].lost


def test_a_fragmented_unit_whose_end_bit_is_never_set_is_whole_all_the_same() -> None:
    line = Line()
    fragments = h264_fragments(IDR, 500)
    fragments[-1] = bytes((fragments[-1][0], fragments[-1][1] & 0xBF)) + fragments[-1][2:]
    line.send(1, *fragments, SLICE)
    line.send(2, *fragments)
    line.send(3, SLICE)
    assert line.data == [prefixed(IDR, SLICE), prefixed(IDR)]


def test_the_held_picture_is_delivered_at_the_end_only_when_its_marker_came() -> None:
    line = Line()
    line.send(1, SLICE)
    line.depayloader.flush()
    line.send(2, SLICE, marker=False)
    line.depayloader.flush()
    assert line.data == [prefixed(SLICE)]


# Parameter sets.


def test_sets_as_in_the_description_are_not_news() -> None:
    line = Line(SPS, PPS)
    line.send(1, SPS, PPS, IDR)
    line.send(2, SLICE)
    assert line.recorder.events == line.recorder.units
    assert line.depayloader.parameter_sets == (SPS, PPS)


def test_sets_in_band_are_told_before_the_unit_that_uses_them() -> None:
    line = Line()
    line.send(1, h264_aggregate(SPS, PPS), IDR)
    line.send(2, SLICE)
    assert line.recorder.events[0] == (SPS, PPS)
    assert len(line.recorder.units) == 1


def test_changed_sets_replace_those_of_the_same_number() -> None:
    line = Line(SPS, PPS)
    timestamp = line.trust()
    second_pps = b"\x68\x5b\x8c\xb2"  # number 1
    line.send(timestamp, *h264_fragments(OTHER_SPS, 4), second_pps, IDR)
    assert line.recorder.events[0] == (OTHER_SPS, PPS, second_pps)
    assert line.data == [prefixed(OTHER_SPS, second_pps, IDR)]


def test_sets_in_a_broken_picture_are_learned_all_the_same() -> None:
    line = Line()
    line.send(1, SPS, PPS, h264_fragments(IDR, 500)[0])
    line.depayloader.lost()
    line.send(2, SLICE)
    line.send(3, SLICE)
    assert line.recorder.events[0] == (SPS, PPS)


# What is not received, and attacks.


@pytest.mark.parametrize("nal_type", [0, 25, 26, 27, 29, 30, 31])
def test_packets_of_the_interleaved_mode_are_ignored_and_counted(nal_type: int) -> None:
    line = Line()
    line.send(1, SLICE, marker=False)
    line.send(1, bytes((nal_type,)) + bytes(30), marker=False)
    line.send(2, SLICE)
    assert line.data == [prefixed(SLICE)]
    assert line.depayloader.packets_ignored == 1


def test_an_aggregate_that_lies_about_its_sizes_breaks_its_picture() -> None:
    line = Line()
    timestamp = line.trust()
    line.send(timestamp, b"\x18\x00\x04" + SEI[:4] + b"\xff\xff" + SLICE)
    line.send(timestamp + 1, SLICE)
    assert line.data == [prefixed(SLICE)]
    assert line.depayloader.packets_ignored == 1


@pytest.mark.parametrize(
    "payload",
    [h264_fragments(IDR, 60_000)[0], b"\x06", b"\x7c\x05\xff" + bytes(60_000)],
)
def test_an_endless_picture_does_not_fill_memory(payload: bytes) -> None:
    line = Line()
    line.push(1, h264_fragments(IDR, 500)[0], False)
    for _ in range(200_000 if len(payload) == 1 else 700):
        line.depayloader.push(payload, 0, len(payload), 1, 0, 0)
        held = line.depayloader._pieces
        assert len(held) < 300_000
    assert sum(map(len, line.depayloader._pieces)) < 17 << 20
    line.send(2, SLICE)
    line.send(3, SLICE)
    assert line.data[-1] == prefixed(SLICE)


def trusting() -> Line:
    line = Line()
    line.depayloader = H264Depayloader(line.recorder, Reception(90_000), trust_markers=True)
    return line


def test_markers_that_are_trusted_end_a_picture_from_the_first_on_whatever_it_holds() -> None:
    line = trusting()
    line.send(1, SLICE)
    assert line.data == [prefixed(SLICE)]
    line.send(2, LATER_SLICE, SEI)
    line.send(3, SEI)
    line.send(3, SLICE, SLICE)
    assert line.data[1:] == [prefixed(LATER_SLICE, SEI), prefixed(SEI), prefixed(SLICE, SLICE)]
    assert line.recorder.units[-1].timestamp == line.recorder.units[-2].timestamp


def test_a_hole_breaks_the_picture_whose_markers_are_trusted() -> None:
    line = trusting()
    first, *others = h264_fragments(IDR, 500)
    line.send(1, first, marker=False)
    line.depayloader.lost()
    line.send(1, *others[1:])
    line.send(2, SLICE)
    line.depayloader.lost()
    line.send(3, *others)
    line.send(4, SLICE)
    assert line.data == [prefixed(SLICE)] * 2
    assert [unit.lost for unit in line.recorder.units] == [False, True]
    assert line.depayloader.units_broken == 2
