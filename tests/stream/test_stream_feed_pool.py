"""Feeds that are shared: made for the first, closed with the last, and nothing is held by who did not get one."""

import asyncio

import pytest

from vms.common.errors import NotFound, Unavailable
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.media import Hub
from vms.stream.feed_pool import FeedPool, FeedShare

PORCH, MAIN, SUB = CameraId("porch"), StreamName.MAIN, StreamName.SUB


class Lease:
    """ready: that of the hub it is for."""

    def __init__(self, hub: Hub, ready: asyncio.Event) -> None:
        self.hub = hub
        self.released = 0
        self.waited_s = 0.0
        self._ready = ready

    async def ready(self, timeout_s: float) -> None:
        self.waited_s = timeout_s
        await self._ready.wait()
        if self.hub.name == "dead":
            raise Unavailable("it does not answer")

    def release(self) -> None:
        self.released += 1


class Feed:
    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.closed = 0
        self.refused = 0

    def close(self) -> None:
        self.closed += 1


class Pooled:
    """A pool over the hubs of one camera. empty: whether what the hubs have can be shown."""

    def __init__(self) -> None:
        self.hubs = {MAIN: Hub("main"), SUB: Hub("sub")}
        self.ready = asyncio.Event()
        self.ready.set()
        self.leases: list[Lease] = []
        self.made: list[Feed] = []
        self.empty = False
        self.pool: FeedPool[Feed] = FeedPool(
            self._lease, self._make, self._require, ready_timeout_s=4.0, counters=("refused",)
        )

    def _lease(self, camera_id: CameraId, stream: StreamName = MAIN, /) -> Lease:
        if camera_id != PORCH:
            raise NotFound(f"no camera {camera_id}")
        self.leases.append(Lease(self.hubs[stream], self.ready))
        return self.leases[-1]

    def _make(self, hub: Hub) -> Feed:
        self.made.append(Feed(hub))
        return self.made[-1]

    def _require(self, feed: Feed) -> None:
        if self.empty:
            raise Unavailable("there is nothing in it")

    async def share(self, stream: StreamName = MAIN) -> FeedShare[Feed]:
        return await self.pool.acquire(PORCH, stream)

    @property
    def held(self) -> int:
        """Leases that were not given back; none was given back twice."""
        assert all(lease.released <= 1 for lease in self.leases)
        return sum(not lease.released for lease in self.leases)


@pytest.fixture
async def pooled() -> Pooled:
    return Pooled()


async def until_waiting(pooled: Pooled, count: int = 1) -> None:
    async with asyncio.timeout(20):
        while sum(lease.waited_s > 0 for lease in pooled.leases) < count:
            await asyncio.sleep(0)


async def test_a_stream_has_one_feed_for_all_until_the_last_has_left(pooled: Pooled) -> None:
    first, second = await pooled.share(), await pooled.share()
    assert first.feed is second.feed
    assert pooled.pool.feeds == (first.feed,)
    first.release()
    assert (first.feed.closed, pooled.held) == (0, 1)
    second.release()
    assert (first.feed.closed, pooled.held, pooled.pool.feeds) == (1, 0, ())


async def test_streams_have_feeds_of_their_own(pooled: Pooled) -> None:
    main, sub = await pooled.share(MAIN), await pooled.share(SUB)
    assert [feed.hub.name for feed in pooled.pool.feeds] == ["main", "sub"]
    main.release()
    assert pooled.pool.feeds == (sub.feed,)


async def test_a_share_that_is_released_twice_takes_nothing_from_the_others(pooled: Pooled) -> None:
    first, second = await pooled.share(), await pooled.share()
    first.release()
    first.release()
    assert pooled.pool.feeds == (second.feed,)
    assert pooled.held == 1


async def test_after_the_last_the_next_gets_a_new_feed(pooled: Pooled) -> None:
    first = await pooled.share()
    first.release()
    again = await pooled.share()
    assert again.feed is not first.feed
    assert not again.feed.closed


async def test_an_unknown_camera_holds_nothing(pooled: Pooled) -> None:
    with pytest.raises(NotFound):
        await pooled.pool.acquire(CameraId("garage"), MAIN)
    assert (pooled.leases, pooled.made, pooled.pool.feeds) == ([], [], ())


async def test_a_hub_that_does_not_get_ready_is_given_back_with_the_reason(pooled: Pooled) -> None:
    pooled.hubs[MAIN] = Hub("dead")
    with pytest.raises(Unavailable, match="does not answer"):
        await pooled.share()
    assert (pooled.held, pooled.pool.feeds) == (0, ())
    assert pooled.leases[0].waited_s == 4.0


async def test_a_stream_that_has_nothing_to_send_is_given_back_with_the_reason(pooled: Pooled) -> None:
    pooled.empty = True
    with pytest.raises(Unavailable, match="nothing in it"):
        await pooled.share()
    assert (pooled.held, pooled.pool.feeds) == (0, ())


async def test_a_stream_that_has_nothing_any_more_ends_nobody_who_watches(pooled: Pooled) -> None:
    first = await pooled.share()
    pooled.empty = True
    with pytest.raises(Unavailable):
        await pooled.share()
    assert (pooled.held, pooled.pool.feeds, first.feed.closed) == (1, (first.feed,), 0)
    first.release()
    assert (pooled.held, first.feed.closed) == (0, 1)


async def test_who_leaves_while_the_hub_is_waited_for_holds_nothing(pooled: Pooled) -> None:
    pooled.ready.clear()
    asking = asyncio.create_task(pooled.share())
    await until_waiting(pooled)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert (pooled.held, pooled.made, pooled.pool.feeds) == (0, [], ())


async def test_who_leaves_just_when_the_hub_gets_ready_holds_nothing(pooled: Pooled) -> None:
    pooled.ready.clear()
    asking = asyncio.create_task(pooled.share())
    await until_waiting(pooled)
    pooled.ready.set()
    asking.cancel()  # it is woken already, and has not run yet
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert (pooled.held, pooled.pool.feeds) == (0, ())


async def test_those_who_wait_for_the_same_hub_share_a_feed_though_one_of_them_gives_up(
    pooled: Pooled,
) -> None:
    pooled.ready.clear()
    asking = [asyncio.create_task(pooled.share()) for _ in range(3)]
    await until_waiting(pooled, 3)
    asking[0].cancel()
    pooled.ready.set()
    gone, second, third = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(gone, asyncio.CancelledError)
    assert isinstance(second, FeedShare) and isinstance(third, FeedShare)
    assert second.feed is third.feed
    assert (pooled.held, len(pooled.made)) == (2, 1)


async def test_the_last_who_leaves_while_another_one_waits_leaves_it_a_feed_that_is_open(
    pooled: Pooled,
) -> None:
    first = await pooled.share()
    pooled.ready.clear()
    asking = asyncio.create_task(pooled.share())
    await until_waiting(pooled, 2)
    first.release()
    assert first.feed.closed == 1
    assert pooled.held == 1, "the hub stays, since one that waits has a lease of its own"
    pooled.ready.set()
    second = await asking
    assert not second.feed.closed
    assert pooled.pool.feeds == (second.feed,)


async def test_a_camera_that_was_configured_anew_has_another_feed_beside_that_of_its_old_viewers(
    pooled: Pooled,
) -> None:
    old = await pooled.share()
    pooled.hubs[MAIN] = Hub("main")
    new = await pooled.share()
    assert new.feed.hub is pooled.hubs[MAIN]
    assert pooled.pool.feeds == (old.feed, new.feed)
    old.release()
    assert (old.feed.closed, new.feed.closed, pooled.pool.feeds) == (1, 0, (new.feed,))


async def test_what_feeds_counted_is_not_forgotten_with_them(pooled: Pooled) -> None:
    main, sub = await pooled.share(MAIN), await pooled.share(SUB)
    main.feed.refused, sub.feed.refused = 3, 4
    assert pooled.pool.total("refused") == 7
    main.release()
    assert pooled.pool.total("refused") == 7
    again = await pooled.share(MAIN)
    again.feed.refused = 5
    assert pooled.pool.total("refused") == 12
