"""What the srt process and media processes say to each other, when one of them is slow or talks nonsense."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ingest.srt_in import PASSPHRASE, SrtIn, until

from vms.common import unix_socket
from vms.common.ids import CameraId
from vms.ingest.srt import gateway, pump
from vms.ingest.srt.link import (
    CONNECTED,
    MAX_FRAME_BYTES,
    MAX_WORDS_BYTES,
    Kind,
    Link,
    LinkBroken,
    Opening,
    State,
    encode,
)
from vms.wire.srt import MESSAGE_BYTES, SrtGone, connect

pytestmark = pytest.mark.needs("libsrt")
STAGE = CameraId("stage")


@pytest.fixture
async def srt(tmp_path: Path) -> AsyncIterator[SrtIn]:
    system = SrtIn(tmp_path)
    await system.start()
    yield system
    await system.stop()


async def _received(data: bytes) -> list[tuple[Kind, bytes]]:
    """What a link makes of bytes, up to where it breaks."""
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    link, found = Link(reader, None), []  # type: ignore[arg-type] # nothing is written
    try:
        while True:
            found.append(await link.receive())
    except LinkBroken:
        return found


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_bytes_that_are_no_frames_break_the_link_and_nothing_else(data: bytes) -> None:
    for _, payload in asyncio.run(_received(data)):
        for parse in (Opening.parse, State.parse):
            try:
                parse(payload)
            except LinkBroken:
                continue


async def test_frames_come_out_as_they_went_in() -> None:
    opening, state = Opening(STAGE, "srt://h:1?passphrase=0123456789"), State("ended", "it left")
    sent = opening.encode() + encode(Kind.DATA, b"x" * 100_000) + state.encode()

    (_, first), data, (_, last) = await _received(sent)

    assert Opening.parse(first) == opening
    assert data == (Kind.DATA, b"x" * 100_000)
    assert State.parse(last) == state
    assert "0123456789" not in repr(opening)
    assert await _received(encode(Kind.DATA, b"x" * (MAX_FRAME_BYTES + 1))) == []
    assert await _received(encode(Kind.STATE, b" " * (MAX_WORDS_BYTES + 1))) == []


@pytest.mark.parametrize(
    "first",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        encode(Kind.DATA, b"x"),
        encode(Kind.OPEN, b"{}"),
        encode(Kind.OPEN, b"[1]"),
        encode(Kind.OPEN, b'{"camera": "stage", "url": 5}'),
        bytes((Kind.OPEN,)) + b"\xff\xff\xff",
    ],
)
async def test_the_gateway_ends_a_link_that_talks_nonsense_and_serves_the_next(
    srt: SrtIn, first: bytes
) -> None:
    reader, writer = await asyncio.open_connection(sock=unix_socket.connect(srt.path))
    writer.write(first)
    async with asyncio.timeout(10):
        assert await reader.read() == b""
    writer.close()

    link = await Link.open(srt.path)
    link.send(Opening(STAGE).encode())
    await until(lambda: srt.gateway.refuses(STAGE) is None)
    link.close()
    await until(lambda: STAGE not in srt.gateway._places)


async def test_an_address_that_cannot_be_called_is_told_without_what_is_secret_in_it(srt: SrtIn) -> None:
    for url in (
        "srt://no-such-host.invalid:9000?passphrase=0123456789",
        "srt://127.0.0.1:9000?passphrase=short",
    ):
        link = await Link.open(srt.path)
        link.send(Opening(STAGE, url).encode())
        kind, payload = await link.receive()
        state = State.parse(payload)
        assert kind is Kind.STATE
        assert state.code in ("unreachable", "failed")
        assert "0123456789" not in state.text
        link.close()


async def test_a_sender_that_floods_is_sent_away(srt: SrtIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pump, "MAX_MESSAGES_A_SECOND", 50)
    link = await Link.open(srt.path)
    link.send(Opening(STAGE).encode())
    await until(lambda: srt.gateway.refuses(STAGE) is None)
    sender = await connect(srt.poller, srt.listener.address, stream_id="publish:stage", passphrase=PASSPHRASE)

    with suppress(SrtGone):
        while not sender.closed:
            for _ in range(20):  # many at a time, so that it is a flood on a busy machine too
                sender.send(b"\x47" * MESSAGE_BYTES)
            await asyncio.sleep(0.005)

    states: list[State] = []
    while len(states) < 2:
        kind, payload = await link.receive()
        if kind is Kind.STATE:
            states.append(State.parse(payload))
    assert [state.code for state in states] == [CONNECTED, "ended"]
    assert "more than" in states[1].text
    link.close()


async def test_a_media_process_that_stands_still_costs_messages_that_are_told_and_no_memory(
    srt: SrtIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump, "MAX_WAITING_BYTES", 200_000)
    link = await Link.open(srt.path)
    link.send(Opening(STAGE).encode())
    await until(lambda: srt.gateway.refuses(STAGE) is None)
    sender = await connect(srt.poller, srt.listener.address, stream_id="publish:stage", passphrase=PASSPHRASE)
    await until(lambda: srt.gateway._pumps)
    (working,) = srt.gateway._pumps

    sent = 0
    while not working.left_out:  # nobody reads the link
        sent += sender.send(b"\x47" * MESSAGE_BYTES)
        await asyncio.sleep(0.0005)
    assert working._link.waiting_bytes < 200_000 + 2 * pump.MESSAGES_A_FRAME * MESSAGE_BYTES

    came = told = 0
    async with asyncio.timeout(20):
        while not told:
            kind, payload = await link.receive()
            if kind is Kind.STATE:
                assert State.parse(payload).code == CONNECTED
            elif kind is Kind.LOST:
                told += int.from_bytes(payload)
            else:
                came += len(payload) // MESSAGE_BYTES
            sent += sender.send(b"\x47" * MESSAGE_BYTES)
    assert told == working.left_out
    assert came + told <= sent
    link.close()


@pytest.mark.parametrize("stands_still", [False, True])
async def test_the_end_of_the_gateway_is_without_noise_whatever_its_links_do(
    srt: SrtIn, monkeypatch: pytest.MonkeyPatch, stands_still: bool
) -> None:
    """Also with a media process that does not take what waits for it."""
    monkeypatch.setattr(gateway, "DELIVER_S", 0.1)
    complaints: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(str(context)))
    waiting, calling, silent = [await Link.open(srt.path) for _ in range(3)]
    waiting.send(Opening(STAGE).encode())
    calling.send(Opening(CameraId("dock"), "srt://127.0.0.1:9?passphrase=0123456789").encode())
    await until(lambda: srt.gateway.refuses(STAGE) is None and srt.gateway.calls == 1)
    await until(lambda: len(srt.gateway._links) == 3)
    if stands_still:
        place = srt.gateway._places[STAGE]
        for _ in range(40):
            place.link.send(encode(Kind.DATA, bytes(100_000)))
        assert place.link.waiting_bytes > 0

    await asyncio.wait_for(srt.kill(), 20)

    assert not srt.gateway._links and not complaints
    for link in (waiting, calling, silent):
        link.close()
    await srt.start()  # the fixture ends it


async def test_messages_of_a_connection_that_the_library_forgot_end_the_pump(srt: SrtIn) -> None:
    link = await Link.open(srt.path)
    link.send(Opening(STAGE).encode())
    await until(lambda: srt.gateway.refuses(STAGE) is None)
    sender = await connect(srt.poller, srt.listener.address, stream_id="publish:stage", passphrase=PASSPHRASE)
    await until(lambda: srt.gateway._pumps)
    (working,) = srt.gateway._pumps
    srt.poller.lib.srt_close(working.connection._number)  # behind its back

    def forgotten() -> bool:
        working._go_on()
        return working.ended.done()

    await until(forgotten)
    assert working.ended.result() == "the connection ended"
    sender.close()
    link.close()
