"""What waits for one WebTransport viewer: bounded, and newest first."""

from hypothesis import given
from hypothesis import strategies as st
from tests.stream.scripted_stream import h264_pictures, track_of

from vms.stream.quic.messages import Flag, Picture
from vms.stream.quic.outbox import GIVE_UP, Outbox

HOLD_NS = 250
TRACK = track_of(h264_pictures())


def picture(at_ns: int, *, key: bool = False, size: int = 10) -> Picture:
    return Picture(TRACK, bytes(size), key, at_ns, at_ns, at_ns, at_ns)


def filled(*keys: bool, **options: int) -> Outbox:
    """Pictures that came 100 ns apart."""
    outbox = Outbox(HOLD_NS, **options)
    for number, key in enumerate(keys):
        outbox.put(picture(100 * number, key=key))
    return outbox


def taken(outbox: Outbox) -> list[tuple[int, Flag]]:
    found = []
    while (each := outbox.take()) is not None:
        found.append((each[0].pts, each[1]))
    return found


def test_nothing_is_taken_before_a_key_picture_and_that_is_no_loss() -> None:
    outbox = filled(False, False, True, False)
    assert taken(outbox) == [(200, Flag.KEY | Flag.AFRESH), (300, Flag(0))]
    assert outbox.skipped == 0


def test_pictures_that_wait_less_than_hold_are_all_sent() -> None:
    outbox = filled(True, False, True, False)
    assert not outbox.late(HOLD_NS)
    assert [pts for pts, _ in taken(outbox)] == [0, 100, 200, 300]


def test_what_waits_too_long_gives_way_to_the_newest_key_picture() -> None:
    outbox = filled(True, False, True, False, True, False)
    assert outbox.late(HOLD_NS + 1)
    assert taken(outbox) == [(400, Flag.KEY | Flag.AFRESH), (500, Flag(0))]
    assert outbox.skipped == 4


def test_a_key_picture_that_waits_behind_one_that_is_not_sent_takes_its_place() -> None:
    outbox = filled(True, False)
    taken(outbox)
    outbox.put(picture(1000, key=True))
    assert not outbox.late(1000 + HOLD_NS, unsent_ns=1000), "that is not late yet"
    assert outbox.late(1000, unsent_ns=100)
    assert taken(outbox) == [(1000, Flag.KEY | Flag.AFRESH)]


def test_without_a_key_picture_what_waits_is_sent_late_rather_than_not() -> None:
    outbox = filled(True, False, False)
    outbox.take()
    assert not outbox.late(100 + GIVE_UP * HOLD_NS)
    assert [pts for pts, _ in taken(outbox)] == [100, 200]


def test_what_waits_many_times_too_long_is_given_up_and_a_key_picture_awaited() -> None:
    outbox = filled(True, False, False)
    outbox.take()
    assert not outbox.late(101 + GIVE_UP * HOLD_NS)
    assert taken(outbox) == []
    assert outbox.awaiting_key
    outbox.put(picture(3000))
    outbox.put(picture(3100, key=True))
    assert taken(outbox) == [(3100, Flag.KEY | Flag.AFRESH)]
    assert outbox.skipped == 3


def test_a_key_picture_is_not_given_up_for_nothing() -> None:
    outbox = filled(True, False)
    assert not outbox.late(100 * GIVE_UP * HOLD_NS)
    assert [pts for pts, _ in taken(outbox)] == [0, 100]


def test_one_picture_may_be_larger_than_what_may_wait() -> None:
    outbox = Outbox(HOLD_NS, max_bytes=100)
    outbox.put(picture(0, key=True, size=1000))
    assert [pts for pts, _ in taken(outbox)] == [0]


def test_more_than_may_wait_is_given_up_where_a_key_picture_does_not_help() -> None:
    outbox = Outbox(HOLD_NS, max_bytes=100)
    for number, size in enumerate((10, 10, 45, 46)):
        outbox.put(picture(number, key=number < 2, size=size))
    assert outbox.waiting_bytes == 0
    assert outbox.skipped == 4
    assert outbox.awaiting_key


def test_another_stream_begins_with_a_key_picture_and_counts_nothing_as_left_out() -> None:
    outbox = filled(True, False)
    taken(outbox)
    outbox.put(picture(200))
    outbox.begin_anew()
    outbox.put(picture(0))
    outbox.put(picture(100, key=True))
    assert taken(outbox) == [(100, Flag.KEY | Flag.AFRESH)]
    assert outbox.skipped == 0


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(1, 60), st.integers(0, 3), st.booleans(), st.integers(0, 2000)),
        max_size=80,
    )
)
def test_whatever_comes_memory_is_bounded_and_no_picture_is_sent_without_those_it_needs(
    steps: list[tuple[bool, int, int, bool, int]],
) -> None:
    outbox = Outbox(HOLD_NS, max_bytes=200)
    last = -1
    for put, (key, size, takes, asks, pause) in enumerate(steps):
        outbox.put(picture(put, key=key, size=size))
        assert outbox.waiting_bytes <= 200
        if asks:
            outbox.late(put + 1 + pause)
        for _ in range(takes):
            each = outbox.take()
            if each is None:
                break
            found, flags = each
            assert found.pts > last
            if found.pts != last + 1:
                assert flags == Flag.KEY | Flag.AFRESH, "a hole ends with a key picture that says so"
            last = found.pts


def test_a_key_picture_that_is_being_sent_is_worth_more_than_the_next_one() -> None:
    outbox = filled(True, False)
    taken(outbox)
    outbox.put(picture(1000, key=True))
    assert not outbox.late(2000, unsent_ns=0, unsent_key=True)
    outbox.put(picture(1100))
    outbox.put(picture(2000, key=True))
    assert outbox.late(2000, unsent_ns=0, unsent_key=True), "what waits gives way to the newest nevertheless"
    assert taken(outbox) == [(2000, Flag.KEY | Flag.AFRESH)]


def test_an_old_picture_that_is_sent_again_does_not_make_new_ones_late() -> None:
    outbox = filled(True)
    taken(outbox)
    outbox.put(picture(5000))
    assert not outbox.late(5000, unsent_ns=0)
    assert [pts for pts, _ in taken(outbox)] == [5000]
