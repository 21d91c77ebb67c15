from hypothesis import given
from hypothesis import strategies as st

from vms.common.clock import NS
from vms.wire.reception import Reception
from vms.wire.rtcp import SenderReport


def take(reception: Reception, sequence_number: int) -> int:
    """As the readers do: the plain case in place, the rest by `take`."""
    if sequence_number == reception.expected:
        reception.expected = sequence_number + 1
        return 0
    return reception.take(sequence_number)


@given(st.integers(0, 0xFFFF), st.lists(st.integers(0, 5), max_size=200))
def test_losses_are_counted_over_wraps(first: int, holes: list[int]) -> None:
    reception = Reception(90_000)
    number = first
    assert take(reception, number) == 0
    for hole in holes:
        number += 1 + hole
        assert take(reception, number & 0xFFFF) == hole
    assert reception.packets_lost == sum(holes)
    assert reception.packets == len(holes) + 1
    block = reception.report_block(0)
    assert block.highest_sequence == number
    assert block.packets_lost == sum(holes)


def test_a_whole_cycle_without_loss_loses_nothing() -> None:
    reception = Reception(90_000)
    for number in range(65_000, 65_000 + 140_000):
        assert take(reception, number & 0xFFFF) == 0
    assert reception.packets_lost == 0
    assert reception.packets == 140_000


def test_late_and_doubled_packets_are_refused() -> None:
    reception = Reception(90_000)
    take(reception, 10)
    assert take(reception, 10) == -1
    assert take(reception, 13) == 2
    assert take(reception, 11) == -1
    assert reception.packets_late == 2
    assert reception.packets_lost == 2


def test_a_far_jump_begins_a_new_sequence_with_something_missing() -> None:
    reception = Reception(90_000)
    take(reception, 100)
    assert take(reception, 40_000) == 1
    assert take(reception, 40_001) == 0
    assert (reception.restarts, reception.packets_lost, reception.packets) == (1, 0, 3)


def test_jitter_is_what_arrivals_deviate_from_timestamps() -> None:
    reception = Reception(90_000)
    for picture in range(500):
        late_ms = 10 if picture % 2 else 0
        reception.advance(picture * 3600, picture * 40_000_000 + late_ms * 1_000_000)
    assert 0.0099 < reception.jitter_s < 0.0101


def test_pictures_out_of_display_order_are_no_jitter() -> None:
    reception = Reception(90_000)
    display = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8]
    for sent, shown in enumerate(display * 1):
        reception.advance(shown * 3600, sent * 40_000_000)
    assert reception.jitter_s < 0.015


def test_a_report_block_says_when_the_last_sender_report_came() -> None:
    reception = Reception(8000)
    reception.ssrc = 5
    take(reception, 1)
    reception.sender_report(SenderReport(5, 0x0000_1111_2222_0000, 160, 1, 1), 2 * NS)
    block = reception.report_block(4 * NS)
    assert block.last_sr == 0x1111_2222
    assert block.delay_since_last_sr == 2 * 65_536
    assert block.ssrc == 5


def test_the_fraction_lost_is_of_the_time_since_the_last_report() -> None:
    reception = Reception(8000)
    for number in (0, 1, 4, 5):
        take(reception, number)
    assert reception.report_block(0).fraction_lost == 256 * 2 // 6
    take(reception, 6)
    assert reception.report_block(0).fraction_lost == 0


def test_a_timestamp_told_before_any_media_is_the_reference_of_the_media() -> None:
    reception = Reception(8000)
    assert reception.unwrap(0xFFFF_FFF0) == 0xFFFF_FFF0
    take(reception, 1)
    assert reception.advance(0x10, 0) == 0x1_0000_0010
    assert reception.unwrap(0xFFFF_FFF0) == 0xFFFF_FFF0
