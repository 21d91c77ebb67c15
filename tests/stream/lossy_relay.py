"""A UDP relay between a viewer and the server that loses media packets as it is told."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

Address = tuple[str, int]
Drop = Callable[[int], bool]
"""Whether to lose a video packet from the server, by its RTP sequence number; asked once a packet sent."""


class LossyRelay(asyncio.DatagramProtocol):
    """Stands in the server's place: forwards what each client address sends through a socket of its own."""

    def __init__(self, server: Address, drop: Drop) -> None:
        self.server, self.drop = server, drop
        self.dropped: list[int] = []
        self.payload_type: int | None = None
        self.transport: asyncio.DatagramTransport | None = None
        self.upstream: dict[Address, asyncio.DatagramTransport] = {}
        self.waiting: dict[Address, list[bytes]] = {}
        self.tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, source: Address) -> None:
        if source in self.upstream:
            self.upstream[source].sendto(data)
            return
        queue = self.waiting.setdefault(source, [])
        queue.append(data)
        if len(queue) == 1:
            task = asyncio.get_running_loop().create_task(self._connect(source))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _connect(self, source: Address) -> None:
        relay = self

        class Upstream(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, _: Address) -> None:
                relay.from_server(data, source)

        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            Upstream, remote_addr=self.server
        )
        self.upstream[source] = transport
        for data in self.waiting.pop(source, []):
            transport.sendto(data)

    def from_server(self, data: bytes, client: Address) -> None:
        if 128 <= data[0] <= 191 and data[1] & 0x7F == self.payload_type:
            number = int.from_bytes(data[2:4], "big")
            if self.drop(number):
                self.dropped.append(number)
                return
        assert self.transport is not None
        self.transport.sendto(data, client)


@asynccontextmanager
async def lossy_relay(answer: str, drop: Drop) -> AsyncIterator[tuple[LossyRelay, str]]:
    """The relay, and the answer with the relay as its only candidate."""
    host, port = re.findall(r"a=candidate:1 1 udp \d+ (\S+) (\d+) typ host", answer)[0]
    transport, relay = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: LossyRelay((host, int(port)), drop), local_addr=(host, 0)
    )
    relay.payload_type = int(re.findall(r"m=video \d+ \S+ (\d+)", answer)[0])
    at = transport.get_extra_info("sockname")[1]
    others = re.sub(r"a=candidate:(?!1 )[^\r\n]*\r?\n", "", answer)
    try:
        yield relay, others.replace(f" {host} {port} typ", f" {host} {at} typ")
    finally:
        transport.close()
        for upstream in relay.upstream.values():
            upstream.close()
