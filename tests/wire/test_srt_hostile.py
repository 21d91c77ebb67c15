"""A SRT port that strangers reach: what it answers, and that it goes on serving."""

import asyncio
import contextlib
import random
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from vms.wire.srt import (
    Accept,
    Call,
    CallRefused,
    Refuse,
    RejectReason,
    SrtConnection,
    SrtListener,
    SrtOptions,
    SrtPoller,
    connect,
)

pytestmark = pytest.mark.needs("libsrt")
HANDSHAKE = 0x8000 << 16
INDUCTION, CONCLUSION = 1, 0xFFFFFFFF
ANSWERED_S = 0.3  # a handshake is answered at once; what would come later comes within this


def _handshake(kind: int, version: int, cookie: int = 0, extension: bytes = b"") -> bytes:
    """draft-sharabayko-srt §3.2.1."""
    field = 2 if kind == INDUCTION else 5
    body = struct.pack(">IHHIIIIII16s", version, 0, field, 1, 1500, 8192, kind, 7, cookie, b"\x7f\0\0\1")
    return struct.pack(">IIII", HANDSHAKE, 0, 1, 0) + body + extension


@asynccontextmanager
async def _port() -> AsyncIterator[tuple[SrtListener, SrtPoller, list[Call]]]:
    asked: list[Call] = []

    def decide(call: Call) -> Accept | Refuse:
        asked.append(call)
        return Accept() if call.stream_id == "porch" else Refuse(RejectReason.NOT_FOUND)

    poller = await SrtPoller().start()
    listener = SrtListener(poller, ("127.0.0.1", 0), SrtOptions(), decide, lambda connection: None)
    await listener.start()
    try:
        yield listener, poller, asked
    finally:
        await listener.stop()
        await poller.stop()


async def _answers(port: int, datagrams: Sequence[bytes]) -> list[bytes]:
    found: list[bytes] = []

    class Stranger(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, _: tuple[str, int]) -> None:
            found.append(data)

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Stranger, remote_addr=("127.0.0.1", port))
    for number, datagram in enumerate(datagrams):
        transport.sendto(datagram)
        if number % 50 == 0:
            await asyncio.sleep(0)
    await asyncio.sleep(ANSWERED_S)
    transport.close()
    return found


async def test_a_stranger_gets_no_more_bytes_than_it_sent_and_nobody_is_asked() -> None:
    async with _port() as (listener, _, asked):
        hello = _handshake(INDUCTION, 4)
        answers = await _answers(listener.address[1], [hello] * 20)
        forged = _handshake(CONCLUSION, 5, cookie=0x12345678)
        more = await _answers(listener.address[1], [forged, b"", b"x", bytes(1500), b"\xff" * 64])

    assert len(answers) == 20 and all(len(each) <= len(hello) for each in answers)
    assert sum(map(len, more)) <= len(forged)
    assert asked == []


async def test_noise_of_every_kind_ends_nothing() -> None:
    noise = random.Random(7)
    datagrams = []
    for _ in range(3_000):
        kind = noise.choice(
            [0x80000000, 0x80010000, 0x80020000, 0x80030000, 0x80050000, 0x80060000, 0xFFFF0001, 0]
        )
        header = struct.pack(
            ">IIII", kind | noise.getrandbits(8), noise.getrandbits(32), 1, noise.choice([0, 1, 9])
        )
        datagrams.append(header + noise.randbytes(noise.choice([0, 3, 4, 48, 64, 700, 1456])))
    good = _handshake(CONCLUSION, 5, extension=struct.pack(">HH", 5, 1) + b"porc")
    for _ in range(1_000):
        bent = bytearray(good)
        for _ in range(noise.randint(1, 6)):
            bent[noise.randrange(len(bent))] = noise.getrandbits(8)
        datagrams.append(bytes(bent[: noise.randint(16, len(bent))]))

    async with _port() as (listener, poller, _):
        await _answers(listener.address[1], datagrams)
        connection = await connect(poller, listener.address, stream_id="porch")
        assert connection.send(b"hello")
        connection.close()


class _Caller(asyncio.DatagramProtocol):
    """One address, as cookies are of one."""

    def __init__(self) -> None:
        self._answers: asyncio.Queue[bytes] = asyncio.Queue()
        self._transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, _: tuple[str, int]) -> None:
        self._answers.put_nowait(data)

    async def cookie(self) -> int:
        while not self._answers.empty():
            self._answers.get_nowait()
        self._transport.sendto(_handshake(INDUCTION, 4))
        while True:
            answer = await asyncio.wait_for(self._answers.get(), 20)
            if answer[:2] == b"\x80\x00" and struct.unpack_from(">I", answer, 36)[0] == INDUCTION:
                return int(struct.unpack_from(">I", answer, 44)[0])

    async def conclude(self, blocks: bytes) -> None:
        self._transport.sendto(_handshake(CONCLUSION, 5, await self.cookie(), blocks))

    def close(self) -> None:
        self._transport.close()


def _block(kind: int, content: bytes, words: int | None = None) -> bytes:
    """An extension of a handshake; words: that it says it has."""
    return struct.pack(">HH", kind, len(content) // 4 if words is None else words) + content


def _stream_id(text: bytes) -> bytes:
    """Words of it travel with the last byte first."""
    padded = text.ljust(-len(text) // 4 * -4, b"\0")
    return _block(5, b"".join(padded[at : at + 4][::-1] for at in range(0, len(padded), 4)))


async def test_handshakes_that_are_bent_behind_the_cookie_end_nothing() -> None:
    """A caller that plays the first half by the rules, and the second with what it likes."""
    noise = random.Random(11)
    hello = _block(1, struct.pack(">III", 0x00010501, 0xBF, 0x00780078))
    async with _port() as (listener, poller, asked):
        loop = asyncio.get_running_loop()
        _, caller = await loop.create_datagram_endpoint(
            _Caller, remote_addr=("127.0.0.1", listener.address[1])
        )
        for size in (0, 1, 4, 511, 512, 513, 700, 1200):
            await caller.conclude(hello + _stream_id(noise.randbytes(size)))
        for _ in range(60):
            blocks = [
                _block(
                    noise.choice([1, 3, 5, 6, 7, 77]),
                    noise.randbytes(noise.choice([0, 4, 12, 64, 600])),
                    words,
                )
                for words in noise.choices([None, 0, 1, 3, 200, 65535], k=noise.randint(1, 4))
            ]
            await caller.conclude(noise.choice([hello, b""]) + b"".join(blocks))
        await caller.cookie()  # answered in order, so everything before it was read
        caller.close()
        async with asyncio.timeout(20):
            while True:  # the calls of before count against this address for a second
                with contextlib.suppress(CallRefused):
                    (await connect(poller, listener.address, stream_id="porch")).close()
                    break
                await asyncio.sleep(0.1)

    assert len(asked) > 5
    assert all(len(call.stream_id.encode()) <= 3 * 512 for call in asked)


class _SecondWish(asyncio.DatagramProtocol):
    """A way to `to` that puts a second stream id into a caller's handshake."""

    def __init__(self, to: tuple[str, int], text: bytes) -> None:
        self._to = to
        self._more = _stream_id(text)
        self._caller: tuple[str, int] | None = None
        self._transport: asyncio.DatagramTransport
        self.added = 0

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, sender: tuple[str, int]) -> None:
        if sender == self._to:
            self._transport.sendto(data, self._caller)
            return
        self._caller = sender
        if data[:2] == b"\x80\x00" and struct.unpack_from(">I", data, 36)[0] == CONCLUSION:
            data += self._more
            self.added += 1
        self._transport.sendto(data, self._to)


async def test_a_second_stream_id_in_a_handshake_opens_nothing_but_what_was_decided_on() -> None:
    asked: list[str] = []
    accepted: asyncio.Queue[SrtConnection] = asyncio.Queue()

    def decide(call: Call) -> Accept:
        asked.append(call.stream_id)
        return Accept()

    poller = await SrtPoller().start()
    listener = SrtListener(poller, ("127.0.0.1", 0), SrtOptions(), decide, accepted.put_nowait)
    await listener.start()
    loop = asyncio.get_running_loop()
    transport, way = await loop.create_datagram_endpoint(
        lambda: _SecondWish(listener.address, b"#!::u=aaaaaa,r=vault"), local_addr=("127.0.0.1", 0)
    )
    try:
        first = "#!::u=aaaaaa,r=porch,m=request"  # longer: what the library shows us is one over the other
        await connect(poller, transport.get_extra_info("sockname"), stream_id=first)
        connection = await asyncio.wait_for(accepted.get(), 20)
        assert way.added >= 1
        assert connection.stream_id == asked[-1]
        assert connection.stream_id != "#!::u=aaaaaa,r=vault"
    finally:
        transport.close()
        await listener.stop()
        await poller.stop()
