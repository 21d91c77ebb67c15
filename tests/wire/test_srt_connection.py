"""Calls, messages and refusals over the library, both ends of it ours."""

import asyncio
import ctypes
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from vms.common.errors import InvalidInput
from vms.wire.errors import PeerUnreachable
from vms.wire.srt import (
    MESSAGE_BYTES,
    Accept,
    Call,
    CallRefused,
    Refuse,
    RejectReason,
    SrtConnection,
    SrtGone,
    SrtListener,
    SrtOptions,
    SrtPoller,
    SrtUnavailable,
    check_passphrase,
    connect,
)
from vms.wire.srt import library as library_module
from vms.wire.srt.library import State
from vms.wire.srt.listener import CALLS_PER_S, CALLS_PER_S_ADDRESS, CALLS_PER_S_WATCHING, _CallRate
from vms.wire.srt.options import packed, unpacked

pytestmark = pytest.mark.needs("libsrt")
SECRET = "correct-horse-battery"
Decide = Callable[[Call], Accept | Refuse]


class _Pair:
    def __init__(
        self, poller: SrtPoller, listener: SrtListener, accepted: "asyncio.Queue[SrtConnection]"
    ) -> None:
        self.poller = poller
        self.listener = listener
        self.accepted = accepted

    async def call(self, passphrase: str | None = None, stream_id: str = "porch") -> SrtConnection:
        return await connect(self.poller, self.listener.address, stream_id=stream_id, passphrase=passphrase)


@asynccontextmanager
async def _listening(decide: Decide, host: str = "127.0.0.1", **bounds: int) -> AsyncIterator[_Pair]:
    poller = await SrtPoller().start()
    accepted: asyncio.Queue[SrtConnection] = asyncio.Queue()
    listener = SrtListener(poller, (host, 0), SrtOptions(), decide, accepted.put_nowait, **bounds)
    await listener.start()
    try:
        yield _Pair(poller, listener, accepted)
    finally:
        await listener.stop()
        await poller.stop()


async def _received(connection: SrtConnection, count: int) -> list[bytes]:
    messages: list[bytes] = []
    enough = asyncio.Event()

    def read() -> None:
        while (message := connection.receive()) is not None:
            messages.append(message)
        if len(messages) >= count:
            enough.set()

    connection.read_with(read)
    await asyncio.wait_for(enough.wait(), 20)
    return messages


@pytest.mark.parametrize(
    ("host", "passphrase"), [("127.0.0.1", None), ("127.0.0.1", SECRET), ("::1", SECRET)]
)
async def test_messages_arrive_whole_and_in_order_both_ways(host: str, passphrase: str | None) -> None:
    sent = [bytes([number % 251]) * (MESSAGE_BYTES - number % 7 * 188) for number in range(300)]
    async with _listening(lambda call: Accept(passphrase), host) as pair:
        ours = await pair.call(passphrase)
        theirs = await asyncio.wait_for(pair.accepted.get(), 20)
        for message in sent:
            assert ours.send(message) and theirs.send(message)
        assert await _received(theirs, len(sent)) == sent
        assert await _received(ours, len(sent)) == sent

        assert theirs.stream_id == "porch"
        assert theirs.peer[0] == host
        assert (theirs.received, theirs.lost) == (len(sent), 0)
        statistics = ours.statistics()
        assert statistics is not None and statistics.sent == len(sent) and statistics.send_delay_ms == 120


async def test_a_call_is_decided_on_by_stream_id_and_refused_with_a_reason() -> None:
    asked: list[Call] = []

    def decide(call: Call) -> Accept | Refuse:
        asked.append(call)
        return Accept(SECRET) if call.stream_id == "porch" else Refuse(RejectReason.NOT_FOUND)

    async with _listening(decide) as pair:
        await pair.call(SECRET)
        for stream_id, passphrase, reason in (
            ("garage", SECRET, RejectReason.NOT_FOUND),
            ("porch", "another-passphrase", RejectReason.BAD_SECRET),
            ("porch", None, RejectReason.UNSECURE),
        ):
            with pytest.raises(CallRefused) as refused:
                await pair.call(passphrase, stream_id)
            assert refused.value.reason == reason
            assert SECRET not in str(refused.value)

        assert [call.stream_id for call in asked] == ["porch", "garage", "porch", "porch"]
        assert "porch" not in repr(asked[0]) and SECRET not in repr(Accept(SECRET))
        assert pair.listener.refused["not_found"] == 1
        async with asyncio.timeout(20):
            while pair.listener.refused["handshake"] < 2:
                await asyncio.sleep(0.05)


async def test_a_decision_that_fails_lets_nobody_in() -> None:
    def decide(call: Call) -> Accept | Refuse:
        raise KeyError(call.stream_id)

    async with _listening(decide) as pair:
        with pytest.raises(CallRefused) as refused:
            await pair.call()

        assert refused.value.reason == RejectReason.INTERNAL
        assert pair.listener.refused["internal"] == 1
        assert pair.accepted.empty()


async def test_calls_of_one_address_are_bounded() -> None:
    async with _listening(lambda call: Refuse(RejectReason.NOT_FOUND)) as pair:
        loop, reasons = asyncio.get_running_loop(), []
        began_s = loop.time()
        async with asyncio.timeout(30):
            while RejectReason.OVERLOAD not in reasons:  # a busy machine may need more than a second for them
                calls = [pair.call() for _ in range(3 * CALLS_PER_S_ADDRESS)]
                failed = await asyncio.gather(*calls, return_exceptions=True)
                refused = [error.reason for error in failed if isinstance(error, CallRefused)]
                assert len(refused) == len(calls)
                reasons += refused

        begun_seconds = int(loop.time() - began_s) + 2
        assert reasons.count(RejectReason.NOT_FOUND) <= begun_seconds * CALLS_PER_S_ADDRESS


async def test_whoever_has_gone_makes_room() -> None:
    async with _listening(lambda call: Accept(), max_connections=1) as pair:
        first = await pair.call()
        theirs = await asyncio.wait_for(pair.accepted.get(), 20)
        gone = asyncio.Event()
        theirs.on_closed = lambda reason: gone.set()
        with pytest.raises(CallRefused) as refused:
            await pair.call()
        assert refused.value.reason == RejectReason.OVERLOAD
        first.close()
        await asyncio.wait_for(gone.wait(), 20)
        await pair.call()


async def test_a_full_buffer_takes_nothing_and_says_so() -> None:
    async with _listening(lambda call: Accept()) as pair:
        options = SrtOptions(send_buffer_bytes=20 * 1456)
        connection = await connect(pair.poller, pair.listener.address, stream_id="porch", options=options)
        taken = 0
        while connection.send(bytes(MESSAGE_BYTES)):
            taken += 1
            assert taken < 100_000

        assert connection.full == 1 and connection.sent == taken
        assert connection.unsent <= 20


async def test_what_ended_says_so_once_and_takes_nothing_more() -> None:
    async with _listening(lambda call: Accept()) as pair:
        ours = await pair.call()
        theirs = await asyncio.wait_for(pair.accepted.get(), 20)
        told: asyncio.Queue[str] = asyncio.Queue()
        ours.on_closed = told.put_nowait
        theirs.close()
        assert await asyncio.wait_for(told.get(), 20) == "the connection ended"
        theirs.close()

        assert told.empty()
        for ended in (ours, theirs):
            with pytest.raises(SrtGone):
                ended.send(b"x")
            with pytest.raises(SrtGone):
                ended.receive()
            assert ended.statistics() is None


async def test_messages_that_came_before_the_end_are_read_first() -> None:
    async with _listening(lambda call: Accept()) as pair:
        ours = await pair.call()
        theirs = await asyncio.wait_for(pair.accepted.get(), 20)
        found: list[bytes] = []
        gone = asyncio.Event()

        def read() -> None:
            while (message := theirs.receive()) is not None:
                found.append(message)

        theirs.on_closed = lambda reason: gone.set()
        theirs.read_with(read)
        ours.send(b"last words")
        async with asyncio.timeout(20):
            while not found:
                await asyncio.sleep(0.01)
        ours.close()
        await asyncio.wait_for(gone.wait(), 20)

    assert found == [b"last words"]


async def test_what_came_before_the_end_is_read_in_as_many_turns_as_it_takes() -> None:
    async with _listening(lambda call: Accept()) as pair:
        ours = await pair.call()
        theirs = await asyncio.wait_for(pair.accepted.get(), 20)
        found: list[bytes] = []
        gone = asyncio.Event()

        def read() -> None:
            message = theirs.receive()
            if message is not None:
                found.append(message)
                asyncio.get_running_loop().call_soon(theirs.read_with, read)  # one a turn

        theirs.on_closed = lambda reason: gone.set()
        for number in range(50):
            ours.send(b"%d" % number)
        async with asyncio.timeout(20):  # all of them are there, and none was read
            while (statistics := theirs.statistics()) is None or statistics.received < 50:
                await asyncio.sleep(0.01)
            while ours.unsent:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)  # longer than the latency: they are due
        ours.close()
        theirs.read_with(read)
        await asyncio.wait_for(gone.wait(), 20)

    assert found == [b"%d" % number for number in range(50)]


async def test_a_caller_that_left_before_it_was_taken_is_noticed() -> None:
    told: asyncio.Queue[str] = asyncio.Queue()

    def take(connection: SrtConnection) -> None:
        connection.on_closed = told.put_nowait

    poller = await SrtPoller().start()
    listener = SrtListener(poller, ("127.0.0.1", 0), SrtOptions(), lambda call: Accept(), take)
    await listener.start()
    poller.forget(listener._number)  # it accepts when we say so
    try:
        async with asyncio.timeout(20):
            while not listener.accepted:  # where the library has not thrown it away in between
                ours = await connect(poller, listener.address, stream_id="porch")
                number = next(reversed(listener._let_in))
                ours.close()
                while poller.lib.srt_getsockstate(number) == State.CONNECTED:
                    await asyncio.sleep(0.005)
                listener._ready(0)
        assert await asyncio.wait_for(told.get(), 20) == "the connection ended"
        assert listener.connections == 0
    finally:
        await listener.stop()
        await poller.stop()


async def test_a_caller_that_cannot_be_served_costs_no_other_one() -> None:
    served: asyncio.Queue[SrtConnection] = asyncio.Queue()
    unlucky: list[SrtConnection] = []

    def take(connection: SrtConnection) -> None:
        if not unlucky:
            unlucky.append(connection)
            raise SrtUnavailable("for example")
        served.put_nowait(connection)

    poller = await SrtPoller().start()
    listener = SrtListener(poller, ("127.0.0.1", 0), SrtOptions(), lambda call: Accept(), take)
    await listener.start()
    try:
        with suppress(SrtGone):
            await connect(poller, listener.address, stream_id="porch")
        async with asyncio.timeout(20):
            while not unlucky:
                await asyncio.sleep(0.01)
        await connect(poller, listener.address, stream_id="porch")
        await asyncio.wait_for(served.get(), 20)
        assert unlucky[0].closed
    finally:
        await listener.stop()
        await poller.stop()


async def test_viewers_take_no_room_of_publishers() -> None:
    def decide(call: Call) -> Accept:
        return Accept(publishes=call.stream_id.startswith("publish"))

    async with _listening(decide, max_connections=1, max_publishers=1) as pair:
        await pair.call(stream_id="porch")
        with pytest.raises(CallRefused) as refused:
            await pair.call(stream_id="porch")
        await pair.call(stream_id="publish:porch")
        with pytest.raises(CallRefused):
            await pair.call(stream_id="publish:porch")

    assert refused.value.reason == RejectReason.OVERLOAD


def test_viewers_take_no_calls_of_publishers() -> None:
    for _ in range(3):  # a second may pass in between
        rate = _CallRate()
        watching = [rate.allows(f"192.0.2.{number % 250}", False) for number in range(2 * CALLS_PER_S)]
        publishing = [rate.allows(f"198.51.100.{number % 250}", True) for number in range(2 * CALLS_PER_S)]
        if sum(watching) == CALLS_PER_S_WATCHING:
            break
    assert sum(watching) == CALLS_PER_S_WATCHING
    assert sum(publishing) >= CALLS_PER_S - CALLS_PER_S_WATCHING


async def test_a_handler_that_fails_is_left_alone_and_others_are_served() -> None:
    async with _listening(lambda call: Accept()) as pair:
        first, second = await pair.call(), await pair.call()
        bad, good = [await asyncio.wait_for(pair.accepted.get(), 20) for _ in range(2)]
        failures = 0

        def fail(events: int) -> None:
            nonlocal failures
            failures += 1
            raise RuntimeError("a bug")

        pair.poller.watch(bad._number, fail, reading=True)
        for word in (b"hello", b"again"):
            first.send(word)
            second.send(word)
            assert await _received(good, 1) == [word]
        ended = asyncio.Event()
        good.on_closed = lambda reason: ended.set()
        first.close()
        second.close()  # an end is told again and again to whoever does not forget the socket
        await asyncio.wait_for(ended.wait(), 20)
        await _called_back(pair)

    assert failures == 1


async def _called_back(pair: _Pair) -> None:
    """The poller has gone round once more."""
    another = await pair.call()
    await asyncio.wait_for(pair.accepted.get(), 20)
    another.close()


async def test_nobody_at_the_address_is_unreachable() -> None:
    poller = await SrtPoller().start()
    try:
        with pytest.raises(PeerUnreachable, match=r"nobody answers at 127\.0\.0\.1 port 9"):
            await connect(poller, ("127.0.0.1", 9), options=SrtOptions(connect_timeout_s=0.3))
        with pytest.raises(InvalidInput, match="is no IP address"):
            await connect(poller, ("example.invalid", 9))
    finally:
        await poller.stop()


@pytest.mark.parametrize("passphrase", ["short", "l" * 80, "nine char", "with\0nothing in it"])
def test_a_passphrase_that_srt_cannot_have_is_refused_without_being_repeated(passphrase: str) -> None:
    with pytest.raises(InvalidInput, match="10 to 79") as refused:
        check_passphrase(passphrase)
    assert passphrase not in str(refused.value)


@pytest.mark.parametrize("address", [("127.0.0.1", 8890), ("::1", 1), ("2001:db8::7", 65535)])
def test_addresses_are_the_library_s_and_back(address: tuple[str, int]) -> None:
    assert unpacked(packed(address).ljust(28, b"\0")) == address


def test_an_ipv4_caller_of_an_ipv6_port_has_its_own_address() -> None:
    assert unpacked(packed(("::ffff:203.0.113.7", 5))) == ("203.0.113.7", 5)


async def test_without_the_library_the_package_to_install_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> ctypes.CDLL:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(library_module.ctypes, "CDLL", missing)
    monkeypatch.setattr(library_module, "find_library", lambda name: None)
    with pytest.raises(SrtUnavailable, match=r"install libsrt1\.5-gnutls"):
        library_module.load()


def test_the_numbers_of_statistics_lie_where_the_library_puts_them() -> None:
    """Of srt.h 1.5 on 64-bit machines."""
    where = library_module.Statistics
    offsets = {"sent": 8, "retransmitted": 32, "sent_bytes": 80, "rtt_ms": 328, "bandwidth_mbps": 336}
    assert {name: getattr(where, name).offset for name in offsets} == offsets


def test_processes_that_import_it_do_not_load_the_library() -> None:
    """Workers are forked from one that has imported everything."""
    program = "import vms.app.srt, vms.app.single; print('libsrt' in open('/proc/self/maps').read())"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_nothing_but_this_package_knows_the_library() -> None:
    """A fault of the library ends the process that loads it: only the SRT worker may be that process."""
    package = Path(library_module.__file__).parent
    source = package.parents[1]
    users = {
        path for path in source.rglob("*.py") if "libsrt" in path.read_text() and "CDLL" in path.read_text()
    }
    assert {path.parent for path in users} == {package}
