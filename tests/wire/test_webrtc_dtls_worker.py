"""Handshakes on their thread: in order, bounded, and of no harm when their peer has gone."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.wire.test_webrtc_dtls import Client

from vms.wire.webrtc.dtls import DtlsContext, DtlsState, Fingerprint
from vms.wire.webrtc.dtls_worker import BATCH, MAX_PENDING, DtlsAssociation, Handshakes


class Side:
    """The server's side of one client."""

    def __init__(
        self, handshakes: Handshakes, client: Client, fingerprint: Fingerprint | None = None
    ) -> None:
        self.client = client
        self.stepped = asyncio.Event()
        self.outgoing: list[bytes] = []
        self.association = DtlsAssociation(
            handshakes, [fingerprint or client.context.fingerprint], self._on_step
        )

    def _on_step(self) -> None:
        self.outgoing += self.association.outgoing
        self.stepped.set()

    async def step(self) -> None:
        self.stepped.clear()
        to_client, self.outgoing = self.outgoing, []
        for datagram in self.client.step(to_client):
            self.association.receive(datagram)
        await asyncio.wait_for(self.stepped.wait(), 20)

    async def finish(self) -> None:
        """The handshake, once its hello was sent."""
        await self.stepped.wait()
        while self.association.server.state is not DtlsState.CONNECTED:
            await self.step()
        self.client.step(self.outgoing)
        assert self.client.done


@pytest.fixture
async def handshakes() -> AsyncIterator[Handshakes]:
    handshakes = Handshakes(DtlsContext())
    yield handshakes
    handshakes.close()


async def test_many_handshakes_at_once_all_end_well(handshakes: Handshakes) -> None:
    sides = [Side(handshakes, Client()) for _ in range(20)]
    hellos = [side.client.step([]) for side in sides]
    for side, hello in zip(sides, hellos, strict=True):
        for datagram in hello:
            side.association.receive(datagram)
    assert handshakes.waiting >= 16  # one batch at most has begun
    await asyncio.wait_for(asyncio.gather(*(side.finish() for side in sides)), 20)
    assert all(side.association.server.keys is not None for side in sides)
    assert handshakes.waiting == 0


async def test_handshakes_that_have_begun_go_first(handshakes: Handshakes) -> None:
    begun = Side(handshakes, Client())
    await begun.step()  # the hello
    others = [Side(handshakes, Client()) for _ in range(30)]
    for other in others:
        for datagram in other.client.step([]):
            other.association.receive(datagram)
    final = begun.client.step(begun.outgoing)
    begun.stepped.clear()
    for datagram in final:
        begun.association.receive(datagram)
    while not begun.stepped.is_set():
        await asyncio.sleep(0)
    assert sum(not other.stepped.is_set() for other in others) >= 20  # it did not wait for them
    assert begun.association.server.state is DtlsState.CONNECTED


async def test_what_a_peer_may_have_waiting_is_bounded(handshakes: Handshakes) -> None:
    side = Side(handshakes, Client())
    (hello,) = side.client.step([])
    taken = [side.association.receive(hello) for _ in range(50)]
    assert taken.count(True) <= 2 * MAX_PENDING
    assert handshakes.datagrams_dropped == taken.count(False)
    await asyncio.wait_for(side.stepped.wait(), 20)
    assert side.association.error is None


async def test_a_peer_that_leaves_during_its_handshake_costs_no_further_step(handshakes: Handshakes) -> None:
    leaving, staying = Side(handshakes, Client()), Side(handshakes, Client())
    for side in (leaving, staying):
        for datagram in side.client.step([]):
            side.association.receive(datagram)
    assert leaving.association.close() == []
    await asyncio.wait_for(staying.finish(), 20)
    assert not leaving.stepped.is_set()


async def test_a_viewer_that_fails_to_take_up_its_step_ends_alone(handshakes: Handshakes) -> None:
    failing, *others = sides = [Side(handshakes, Client()) for _ in range(BATCH + 1)]
    handshakes._running = True  # so that all but the last are one batch

    def fail_once() -> None:
        failing.association._on_step = failing._on_step
        raise RuntimeError("a listener's mistake")

    failing.association._on_step = fail_once
    for side in sides:
        for datagram in side.client.step([]):
            side.association.receive(datagram)
    handshakes._finish([])
    await asyncio.wait_for(asyncio.gather(*(side.finish() for side in others)), 20)
    await asyncio.wait_for(failing.stepped.wait(), 20)
    assert failing.association.error is not None


async def test_a_wrong_certificate_is_told_on_the_loop(handshakes: Handshakes) -> None:
    side = Side(handshakes, Client(), Fingerprint("sha-256", "AB:" * 31 + "AB"))
    while side.association.error is None:
        await side.step()
    assert "certificate" in str(side.association.error)


async def test_closing_leaves_no_thread_and_no_step_behind(handshakes: Handshakes) -> None:
    sides = [Side(handshakes, Client()) for _ in range(10)]
    for side in sides:
        for datagram in side.client.step([]):
            side.association.receive(datagram)
    handshakes.close()
    assert handshakes.waiting == 0
    assert handshakes._thread is None
