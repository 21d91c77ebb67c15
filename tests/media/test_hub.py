import asyncio
from dataclasses import dataclass, field

import pytest

from vms.media import AccessUnit, Codec, Gap, GapReason, Hub, Subscription, Track
from vms.media import hub as hub_module

VIDEO = Track(1, Codec.H264, 90_000, (b"\x67", b"\x68"), width=640, height=360)
AUDIO = Track(2, Codec.PCMU, 8_000, sample_rate=8_000, channels=1)
LOST = Gap(1, None, GapReason.CAMERA_LOST)


def picture(number: int, *, key: bool = False, discontinuity: bool = False, size: int = 4) -> AccessUnit:
    return AccessUnit(
        VIDEO, bytes(size), number * 3600, number * 3600, key, discontinuity, number * 40_000_000, 0
    )


def sound(number: int) -> AccessUnit:
    return AccessUnit(AUDIO, b"\x00", number * 160, number * 160, True, False, number * 20_000_000, 0)


@dataclass(eq=False)
class Recorder:
    items: list[AccessUnit | Gap] = field(default_factory=list)

    def push(self, unit: AccessUnit) -> None:
        self.items.append(unit)

    def gap(self, gap: Gap) -> None:
        self.items.append(gap)


class Broken(Recorder):
    def push(self, unit: AccessUnit) -> None:
        raise RuntimeError("broken")


async def test_requests_for_a_key_picture_come_to_one_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "KEY_REQUEST_S", 0.05)
    hub, asked = Hub("a"), asyncio.Queue[int]()
    hub.request_key()  # nobody can be asked
    hub.on_key_request = lambda: asked.put_nowait(hub.key_requests)
    for _ in range(100):
        hub.request_key()
    assert await asked.get() == 2, "the first at once"
    assert await asyncio.wait_for(asked.get(), 20) == 101, "one at the end for all others"
    assert (hub.key_requests, hub.key_requests_passed_on, asked.empty()) == (101, 2, True)


async def test_a_key_picture_that_came_by_itself_answers_a_request_that_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hub_module, "KEY_REQUEST_S", 0.02)
    hub = Hub("a")
    hub.on_key_request = lambda: None
    hub.request_key()
    hub.request_key()
    hub.push(picture(0, key=True))
    await asyncio.sleep(0.05)
    assert hub.key_requests_passed_on == 1


def test_every_sink_gets_every_unit_and_gap() -> None:
    hub = Hub("a")
    sinks = [Recorder(), Recorder()]
    for sink in sinks:
        hub.attach(sink)
    items = [picture(0, key=True), sound(0), picture(1)]
    for unit in items:
        hub.push(unit)
    hub.gap(LOST)
    hub.detach(sinks[0])
    hub.push(picture(2))
    assert sinks[0].items == [*items, LOST]
    assert sinks[1].items == [*items, LOST, picture(2)]
    assert (hub.units, hub.gaps) == (4, 1)


def test_the_group_of_pictures_begins_at_the_newest_key_picture() -> None:
    hub = Hub("a")
    hub.push(sound(0))
    hub.push(picture(0))
    assert list(hub.gop) == []
    for unit in (picture(1, key=True), sound(1), picture(2)):
        hub.push(unit)
    assert list(hub.gop) == [picture(1, key=True), sound(1), picture(2)]
    hub.push(picture(3, key=True))
    assert list(hub.gop) == [picture(3, key=True)]


def test_the_group_of_pictures_ends_where_something_is_missing() -> None:
    hub = Hub("a")
    hub.push(picture(0, key=True))
    hub.push(picture(1, discontinuity=True))
    hub.push(picture(2))
    assert list(hub.gop) == []
    hub.push(picture(3, key=True, discontinuity=True))
    assert len(hub.gop) == 1
    hub.gap(LOST)
    assert list(hub.gop) == []


def test_the_group_of_pictures_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "GOP_MAX_BYTES", 1000)
    hub = Hub("a")
    hub.push(picture(0, key=True, size=600))
    hub.push(picture(1, size=600))
    assert list(hub.gop) == []
    hub.push(picture(2))
    assert list(hub.gop) == []


def test_a_sink_that_raises_is_detached_and_hurts_no_other() -> None:
    failed: list[object] = []
    hub = Hub("a", lambda sink, error: failed.append((sink, str(error))))
    broken, healthy = Broken(), Recorder()
    hub.attach(broken)
    hub.attach(healthy)
    hub.push(picture(0, key=True))
    hub.push(picture(1))
    assert len(healthy.items) == 2
    assert failed == [(broken, "broken")]
    assert hub.sinks_failed == 1


async def test_a_subscription_begins_with_the_group_of_pictures_and_ends_when_closed() -> None:
    hub = Hub("a")
    hub.push(picture(0, key=True))
    with Subscription(hub) as subscription:
        hub.push(picture(1))
        hub.gap(LOST)
        got = [await anext(subscription) for _ in range(3)]
    assert got == [picture(0, key=True), picture(1), LOST]
    assert [item async for item in subscription] == []
    assert hub.sinks == ()


async def test_a_slow_subscription_is_told_the_gap_and_resumes_at_a_key_picture() -> None:
    hub = Hub("a")
    with Subscription(hub, max_units=3) as subscription:
        for number in range(6):
            hub.push(picture(number, key=number == 0))
        hub.push(sound(9))
        hub.push(picture(6, key=True))
        gap = await anext(subscription)
        resumed = await anext(subscription)
    assert isinstance(gap, Gap)
    assert (gap.start_ns, gap.end_ns, gap.reason) == (0, 6 * 40_000_000, GapReason.OVERRUN)
    assert resumed == picture(6, key=True)
    assert subscription.dropped == 7


async def test_waiting_for_a_live_stream_ends_with_its_tracks_and_with_a_lasting_gap() -> None:
    hub = Hub("a")
    waiting = asyncio.create_task(hub.live())
    given_up = asyncio.create_task(hub.live())
    await asyncio.sleep(0)
    given_up.cancel()
    hub.announce([VIDEO])
    await waiting
    hub.push(picture(0, key=True))
    hub.gap(LOST)
    hub.gap(Gap(1, 2, GapReason.PACKET_LOSS))
    assert hub.lasting_gap is LOST, "one that has ended does not end another"
    waiting = asyncio.create_task(hub.live())
    await asyncio.sleep(0)
    assert not waiting.done()
    hub.push(picture(1, key=True, discontinuity=True))
    await waiting
    assert hub.lasting_gap is None
    await hub.live()
