"""The servers of the WebRTC fan-out bench, each in a process of its own, with its pictures' source.

Ours and aiortc are pushed their pictures in their own process, so making them counts as theirs; Janus takes
RTP over UDP from a process that is not counted.

Belongs here: what answers offers. Does not: other servers (_fanout_servers and a module a protocol), viewers, figures.
"""

import asyncio
import multiprocessing
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from typing import Protocol, Self

import uvloop

from bench._fanout_feeder import run_feeder
from bench._fanout_pictures import Load, pace_until
from bench._fanout_servers import CAMERA, BenchProcess, ProcessSide, PushedStream, Side
from bench._fanout_signalling import OfferPipe, Signalling
from bench._janus import Janus, JanusSignalling
from vms.common.errors import Unavailable
from vms.config import WebRtcConfig
from vms.stream import StreamService, own_hubs
from vms.telemetry.logs import configure_logs

RETRY_S = 0.1  # of an offer that the server has no room for at the moment
Answer = Callable[[str], Awaitable[str]]


class WebRtcSide(Side, Protocol):
    @property
    def signalling(self) -> Signalling: ...


class OwnProcess(ProcessSide):
    """A server in Python that answers offers: `target` is `run_ours` or _fanout_aiortc's `run_aiortc`."""

    def __init__(self, target: Callable[..., None], load: Load) -> None:
        ours, theirs = multiprocessing.Pipe()
        self.signalling: Signalling = OfferPipe(ours)
        super().__init__(target, theirs, load)


class JanusSide:
    """Janus and what feeds it."""

    def __init__(self, host: str, load: Load, event_loops: int) -> None:
        self._janus = Janus(host, event_loops=event_loops)
        self._load = load
        self._feeder: BenchProcess | None = None

    def __enter__(self) -> Self:
        self._janus.__enter__()
        try:
            self.signalling: Signalling = JanusSignalling(self._janus.api)
            self._feeder = BenchProcess(run_feeder, self._janus.port, self._load.frame_bytes)
            self._feeder.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._feeder is not None:
            self._feeder.end()
        self._janus.__exit__()

    @property
    def pid(self) -> int:
        return self._janus.pid

    def stop(self) -> list[int]:
        assert self._feeder is not None
        return self._feeder.stop()


def run_ours(pipe: Connection, offers: Connection, load: Load) -> None:
    configure_logs(json=False, level="warning")
    uvloop.run(_ours(pipe, offers, load))


async def _ours(pipe: Connection, offers: Connection, load: Load) -> None:
    stream = PushedStream(load.frame_bytes)
    service = StreamService(WebRtcConfig(port=0), own_hubs(lambda *_: stream.hub), stream.clock)
    await service.start()

    async def answer(offer: str) -> str:
        while True:
            try:
                return (await service.offer(CAMERA, offer)).sdp
            except Unavailable:  # at once: a browser asks again too
                await asyncio.sleep(RETRY_S)

    await serve(pipe, offers, answer, stream.push)


async def serve(pipe: Connection, offers: Connection, answer: Answer, push: Callable[[int], None]) -> None:
    """Answer offers and push pictures until the bench says to stop."""
    loop = asyncio.get_running_loop()
    answering: set[asyncio.Task[None]] = set()

    async def reply(number: int, offer: str) -> None:
        offers.send((number, await answer(offer)))

    def take() -> None:
        while offers.poll():
            task = asyncio.create_task(reply(*offers.recv()))
            answering.add(task)
            task.add_done_callback(_ended)
            task.add_done_callback(answering.discard)

    def _ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            loop.call_exception_handler({"message": "an offer failed", "exception": task.exception()})

    loop.add_reader(offers.fileno(), take)
    await pace_until(pipe, push)
