"""The bus's contract, messages and requests: the same tests on both carriers."""

import asyncio

import pytest
from tests.bus.nats_process import until

from vms.bus.contract import MAX_CONCURRENT_REQUESTS, MAX_DATA_BYTES, Bus
from vms.bus.errors import BusUnavailable, RemoteConflict, RemoteError
from vms.common.errors import Conflict, InvalidInput


async def echo(data: bytes) -> bytes:
    return data


class Busy(Conflict):
    reason = "busy_now"


async def received(bus: Bus, pattern: str, *subjects: str) -> list[str]:
    got: list[str] = []
    end = asyncio.Event()
    bus.subscribe(pattern, lambda subject, _: got.append(subject))
    bus.subscribe("end", lambda _subject, _data: end.set())
    for subject in subjects:
        bus.publish(subject, b"")
    bus.publish("end", b"")
    async with asyncio.timeout(20):
        await end.wait()
    return got


async def test_a_message_reaches_every_subscriber_in_the_order_of_sending(bus: Bus) -> None:
    first: list[tuple[str, bytes]] = []
    second: list[bytes] = []
    bus.subscribe("vms.default.worker.media-0", lambda subject, data: first.append((subject, data)))
    bus.subscribe("vms.default.worker.media-0", lambda _, data: second.append(data))
    for number in range(100):
        bus.publish("vms.default.worker.media-0", str(number).encode())
    await until(lambda: len(second) == 100)
    assert first == [("vms.default.worker.media-0", str(n).encode()) for n in range(100)]
    assert second == [str(n).encode() for n in range(100)]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("vms.a.worker.x", ["vms.a.worker.x"]),
        ("vms.*.worker.*", ["vms.a.worker.x", "vms.b.worker.x"]),
        ("vms.a.>", ["vms.a.worker.x", "vms.a.event.x.y", "vms.a.x"]),
        ("vms.a.*", ["vms.a.x"]),
        ("*.a.x", ["vms.a.x"]),
    ],
)
async def test_wildcards_match_one_token_or_the_rest(bus: Bus, pattern: str, expected: list[str]) -> None:
    sent = ("vms.a.worker.x", "vms.b.worker.x", "vms.a.event.x.y", "vms.a.x", "vms.a")
    assert await received(bus, pattern, *sent) == expected


async def test_a_closed_subscription_receives_nothing_more(bus: Bus) -> None:
    got: list[bytes] = []
    subscription = bus.subscribe("a", lambda _, data: got.append(data))
    bus.publish("a", b"1")
    await until(lambda: got)
    subscription.close()
    subscription.close()
    await received(bus, "b", "a", "b")
    assert got == [b"1"]


async def test_a_subscriber_that_fails_is_counted_and_harms_nobody(bus: Bus) -> None:
    got: list[bytes] = []

    def fail(_subject: str, _data: bytes) -> None:
        raise ZeroDivisionError

    bus.subscribe("a", fail)
    bus.subscribe("a", lambda _, data: got.append(data))
    bus.publish("a", b"1")
    bus.publish("a", b"2")
    await until(lambda: got == [b"1", b"2"])
    await until(lambda: bus.handler_failures == 2)


async def test_a_request_is_answered_by_who_serves_it(bus: Bus) -> None:
    bus.serve("double", lambda data: echo(data * 2))
    assert await bus.request("double", b"ab") == b"abab"
    assert await bus.request("double", b"") == b""


async def test_a_request_that_nobody_serves_is_unavailable_without_waiting(bus: Bus) -> None:
    async with asyncio.timeout(20):
        with pytest.raises(BusUnavailable, match="nobody serves"):
            await bus.request("vms.nobody", b"", timeout_s=60)


async def test_a_served_subject_that_was_closed_is_served_no_more(bus: Bus) -> None:
    bus.serve("a", echo).close()
    with pytest.raises(BusUnavailable):
        await bus.request("a", b"", timeout_s=60)


async def test_a_request_without_an_answer_in_time_is_unavailable(bus: Bus) -> None:
    never = asyncio.Event()

    async def hang(_: bytes) -> bytes:
        await never.wait()
        return b""

    bus.serve("hang", hang)
    with pytest.raises(BusUnavailable, match="no answer in"):
        await bus.request("hang", b"", timeout_s=0.05)
    never.set()


async def test_a_requester_gets_the_servers_error_as_its_branch_with_text_and_reason(bus: Bus) -> None:
    async def refuse(_: bytes) -> bytes:
        raise Busy("yard is being changed; try again")

    bus.serve("refuse", refuse)
    with pytest.raises(Conflict, match="yard is being changed; try again") as raised:
        await bus.request("refuse", b"")
    assert isinstance(raised.value, RemoteConflict)
    assert raised.value.reason == "busy_now"


async def test_an_unexpected_error_of_a_server_tells_no_details(bus: Bus) -> None:
    async def break_(_: bytes) -> bytes:
        raise ZeroDivisionError("secret detail")

    bus.serve("break", break_)
    with pytest.raises(RemoteError) as raised:
        await bus.request("break", b"")
    assert "secret detail" not in str(raised.value)


async def test_requests_run_at_once_and_the_rest_waits(bus: Bus) -> None:
    gate = asyncio.Event()
    running = most = 0

    async def wait(data: bytes) -> bytes:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await gate.wait()
        running -= 1
        return data

    bus.serve("wait", wait)
    requests = [asyncio.create_task(bus.request("wait", str(n).encode(), timeout_s=20)) for n in range(400)]
    await until(lambda: running == MAX_CONCURRENT_REQUESTS)
    gate.set()
    assert await asyncio.gather(*requests) == [str(n).encode() for n in range(400)]
    assert most == MAX_CONCURRENT_REQUESTS


async def test_of_the_servers_in_a_queue_one_gets_each_request(bus: Bus) -> None:
    taken: list[int] = []

    def member(number: int):
        async def handler(data: bytes) -> bytes:
            taken.append(number)
            return data

        return handler

    for number in range(3):
        bus.serve("work", member(number), queue="workers")
    await asyncio.gather(*(bus.request("work", b"") for _ in range(60)))
    assert len(taken) == 60
    assert set(taken) == {0, 1, 2}


async def test_many_answer_one_question_and_errors_are_left_out(bus: Bus) -> None:
    async def refuse(_: bytes) -> bytes:
        raise Busy("not I")

    for name in (b"a", b"b", b"c"):
        bus.serve("who", lambda _, name=name: echo(name))
    bus.serve("who", refuse)
    bus.serve("who", lambda _: echo(b"queue"), queue="q")
    bus.serve("who", lambda _: echo(b"queue"), queue="q")
    answers = await bus.request_many("who", b"", timeout_s=10, expected=4)
    assert sorted(answers) == [b"a", b"b", b"c", b"queue"]
    assert len(await bus.request_many("who", b"", timeout_s=2)) == 4


async def test_a_question_to_nobody_has_no_answers(bus: Bus) -> None:
    async with asyncio.timeout(20):
        assert await bus.request_many("nobody", b"", timeout_s=60) == []


async def test_messages_up_to_the_limit_pass_whole_and_larger_ones_are_refused(bus: Bus) -> None:
    bus.serve("echo", lambda data: echo(data[:-100]))
    assert len(await bus.request("echo", bytes(MAX_DATA_BYTES))) == MAX_DATA_BYTES - 100
    with pytest.raises(InvalidInput, match="the bus takes up to"):
        await bus.request("echo", bytes(MAX_DATA_BYTES + 1))
    with pytest.raises(InvalidInput, match="the bus takes up to"):
        bus.publish("echo", bytes(MAX_DATA_BYTES + 1))


async def test_an_answer_beyond_the_limit_is_an_error_at_the_requester(bus: Bus) -> None:
    bus.serve("huge", lambda _: echo(bytes(MAX_DATA_BYTES + 1)))
    with pytest.raises(InvalidInput, match="can be carried"):
        await bus.request("huge", b"")


@pytest.mark.parametrize("bad", ["", "a b", "a..b", ".a", "a.", "a\r\nPUB b 0", "a.>.b", "a*", "x" * 600])
async def test_a_bad_subject_is_refused(bus: Bus, bad: str) -> None:
    with pytest.raises(InvalidInput):
        bus.publish(bad, b"")
    with pytest.raises(InvalidInput):
        bus.subscribe(bad, lambda *_: None)
    with pytest.raises(InvalidInput):
        bus.serve(bad, echo)
    with pytest.raises(InvalidInput):
        await bus.request(bad, b"")


async def test_nothing_is_published_to_a_pattern(bus: Bus) -> None:
    with pytest.raises(InvalidInput):
        bus.publish("a.*", b"")
    with pytest.raises(InvalidInput):
        await bus.request("a.>", b"")


async def test_who_waits_for_a_connection_is_told_also_when_there_is_one_already(bus: Bus) -> None:
    told = asyncio.Event()
    bus.on_connect(told.set)
    async with asyncio.timeout(20):
        await told.wait()


async def test_a_stopped_bus_drops_and_counts_messages_and_refuses_requests(bus: Bus) -> None:
    bus.serve("echo", echo)
    await bus.stop()
    assert not bus.connected
    bus.publish("a", b"")
    assert bus.dropped == 1
    with pytest.raises(BusUnavailable):
        await bus.request("echo", b"")
    with pytest.raises(BusUnavailable):
        await bus.request_many("echo", b"", timeout_s=5)


async def test_what_was_published_before_the_stop_is_sent(bus: Bus) -> None:
    got: list[bytes] = []
    other = bus.subscribe("last", lambda _, data: got.append(data))
    bus.publish("last", b"words")
    await until(lambda: got == [b"words"])
    other.close()
