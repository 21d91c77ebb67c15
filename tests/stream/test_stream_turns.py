"""Walks over those who take what comes: everything, in order, in slices, and no one's fault is another's."""

import asyncio
from collections.abc import Callable

from vms.common.clock import ManualClock
from vms.stream.turns import Turns

SLICE_NS = 1_000_000


class Taker:
    """Takes `cost_ms` of the clock for each item."""

    def __init__(self, name: str, clock: ManualClock, cost_ms: float = 0.0) -> None:
        self.name = name
        self.got: list[int] = []
        self.on_item: Callable[[], None] = lambda: None
        self._clock = clock
        self._cost_ms = cost_ms

    def deliver(self, item: int) -> None:
        self._clock.advance(self._cost_ms / 1000)
        self.got.append(item)
        self.on_item()


class Walks:
    """Some takers, and what was seen of the walks over them."""

    def __init__(self, count: int, *, cost_ms: float = 0.0) -> None:
        self.clock = ManualClock()
        self.order: list[tuple[int, str]] = []
        self.failures: list[tuple[str, str]] = []
        self.done: list[int] = []
        self.turns: Turns[Taker, int] = Turns(
            self.clock, self._deliver, self._failed, slice_ns=SLICE_NS, on_done=self.done.append
        )
        self.takers = [Taker("abcdefgh"[number], self.clock, cost_ms) for number in range(count)]
        for taker in self.takers:
            self.turns.add(taker)

    def _deliver(self, taker: Taker, item: int) -> None:
        self.order.append((item, taker.name))
        taker.deliver(item)

    def _failed(self, taker: Taker, error: Exception) -> None:
        self.failures.append((taker.name, str(error)))
        self.turns.remove(taker)

    async def end(self) -> int:
        """Let the loop turn until nothing waits; how often that was."""
        count = 0
        async with asyncio.timeout(20):
            while len(self.turns):
                await asyncio.sleep(0)
                count += 1
        return count


async def test_all_takers_get_all_items_in_order_and_another_one_is_first_each_time() -> None:
    walks = Walks(3)
    for item in range(4):
        walks.turns.put(item)
    assert walks.order == [], "who puts something waits for nobody"
    await walks.end()
    assert walks.order == [
        *((0, name) for name in "abc"),
        *((1, name) for name in "bca"),
        *((2, name) for name in "cab"),
        *((3, name) for name in "abc"),
    ]
    assert walks.done == [0, 1, 2, 3]


async def test_another_one_is_first_too_when_each_item_is_given_before_the_next_comes() -> None:
    walks = Walks(3)
    for item in range(3):
        walks.turns.put(item)
        await walks.end()
    assert [name for _, name in walks.order] == [*"abc", *"bca", *"cab"]


async def test_a_walk_that_takes_long_goes_on_in_later_turns_of_the_loop_and_leaves_nobody_out() -> None:
    walks = Walks(8, cost_ms=0.4)  # three of them are a slice
    walks.turns.put(0)
    walks.turns.put(1)
    given = []
    while len(walks.turns):
        before = len(walks.order)
        await asyncio.sleep(0)
        given.append(len(walks.order) - before)
    assert given == [3, 3, 3, 3, 3, 1], "a turn may end one item and begin the next"
    assert [taker.got for taker in walks.takers] == [[0, 1]] * 8


async def test_many_small_items_do_not_hold_the_loop_either() -> None:
    walks = Walks(1, cost_ms=0.4)
    for item in range(9):
        walks.turns.put(item)
    assert await walks.end() == 3
    assert walks.takers[0].got == list(range(9))


async def test_without_takers_nothing_piles_up() -> None:
    walks = Walks(0)
    walks.turns.put(0)
    await walks.end()
    assert walks.done == [0]


async def test_one_that_fails_is_reported_and_the_others_get_everything_once() -> None:
    walks = Walks(4)

    def fail() -> None:
        raise ValueError("broken inside")

    walks.takers[1].on_item = fail
    walks.turns.put(0)
    walks.turns.put(1)
    await walks.end()
    assert walks.failures == [("b", "broken inside")]
    assert [taker.got for taker in walks.takers] == [[0, 1], [0], [0, 1], [0, 1]]


async def test_who_joins_during_a_walk_is_served_from_the_next_one_on() -> None:
    walks = Walks(3)
    late = Taker("x", walks.clock)
    walks.takers[0].on_item = lambda: walks.turns.add(late) if late not in walks.turns.takers else None
    walks.turns.put(0)
    walks.turns.put(1)
    await walks.end()
    assert late.got == [1]


async def test_who_leaves_during_a_walk_takes_nobody_elses_turn() -> None:
    walks = Walks(3)
    walks.takers[0].on_item = lambda: walks.turns.remove(walks.takers[0])
    walks.turns.put(0)
    walks.turns.put(1)
    await walks.end()
    assert [taker.got for taker in walks.takers] == [[0], [0, 1], [0, 1]]


async def test_a_taker_that_clears_the_walk_that_serves_it_ends_it() -> None:
    walks = Walks(1)
    walks.takers[0].on_item = walks.turns.clear
    walks.turns.put(0)
    walks.turns.put(1)
    await walks.end()
    await asyncio.sleep(0)
    assert (walks.takers[0].got, walks.done) == ([0], [])


async def test_what_comes_after_a_walk_was_cleared_in_its_midst_is_given_once_and_whole() -> None:
    walks = Walks(3)

    def begin_anew() -> None:
        walks.takers[0].on_item = lambda: None
        walks.turns.clear()
        walks.turns.put(7)

    walks.takers[0].on_item = begin_anew
    walks.turns.put(0)
    await walks.end()
    assert [taker.got[-1] for taker in walks.takers] == [7, 7, 7]
    assert sum(taker.got.count(7) for taker in walks.takers) == 3
    assert walks.done == [7]


async def test_after_clearing_nobody_gets_the_rest_of_an_interrupted_walk() -> None:
    walks = Walks(4, cost_ms=0.6)
    walks.turns.put(0)
    await asyncio.sleep(0)
    assert [taker.got for taker in walks.takers] == [[0], [0], [], []]
    walks.turns.clear()
    walks.turns.put(1)
    await walks.end()
    assert [taker.got.count(1) for taker in walks.takers] == [1] * 4
    assert [taker.got for taker in walks.takers][2:] == [[1], [1]]


async def test_shedding_leaves_what_has_begun_and_what_must_be_kept() -> None:
    walks = Walks(4, cost_ms=0.6)
    for item in range(6):
        walks.turns.put(item)
    await asyncio.sleep(0)
    assert (walks.turns.oldest, len(walks.turns)) == (0, 6)
    assert walks.turns.shed(lambda item: item == 4) == 4
    assert walks.turns.shed(lambda item: True) == 0
    await walks.end()
    assert [taker.got for taker in walks.takers] == [[0, 4]] * 4
    assert walks.turns.oldest is None
    assert walks.turns.shed() == 0
