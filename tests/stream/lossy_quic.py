"""A UDP relay before a QUIC server, which loses and delays datagrams both ways."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.stream.lossy_relay import Address, LossyRelay


class LossyQuic(LossyRelay):
    """loss: share of datagrams; delay_s: one way. Connections begin unharmed: `loss` counts from `begin_losing` on."""

    def __init__(self, server: Address, loss: float, delay_s: float, rate_bytes_s: float = 0) -> None:
        super().__init__(server, lambda number: False)
        self.loss, self.delay_s, self.rate_bytes_s = loss, delay_s, rate_bytes_s
        self.losing = False
        self.lost = 0
        self.passed = 0
        self._chance = random.Random(5)
        self._free_s = 0.0

    def begin_losing(self) -> None:
        self.losing = True

    def datagram_received(self, data: bytes, source: Address) -> None:
        if not self._loses():
            loop = asyncio.get_running_loop()
            loop.call_later(self.delay_s, super().datagram_received, data, source)

    def from_server(self, data: bytes, client: Address) -> None:
        loop = asyncio.get_running_loop()
        at_s = loop.time()
        if self.rate_bytes_s and self.losing:
            at_s = max(at_s, self._free_s)
            if at_s - loop.time() > 0.1:  # as much as the link's queue holds
                self.lost += 1
                return
            self._free_s = at_s + len(data) / self.rate_bytes_s
        if not self._loses():
            loop.call_at(at_s + self.delay_s, self._send, data, client)

    def _send(self, data: bytes, client: Address) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.sendto(data, client)

    def _loses(self) -> bool:
        if self.losing and self._chance.random() < self.loss:
            self.lost += 1
            return True
        self.passed += 1
        return False


@asynccontextmanager
async def lossy_quic(
    port: int, *, loss: float = 0, delay_s: float = 0, rate_bytes_s: float = 0
) -> AsyncIterator[tuple[LossyQuic, int]]:
    """The relay, and the port that it listens on."""
    transport, relay = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: LossyQuic(("127.0.0.1", port), loss, delay_s, rate_bytes_s), local_addr=("127.0.0.1", 0)
    )
    try:
        yield relay, transport.get_extra_info("sockname")[1]
    finally:
        transport.close()
        for upstream in relay.upstream.values():
            upstream.close()
