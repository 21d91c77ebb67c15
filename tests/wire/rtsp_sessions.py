"""Open a client session, play all its lines, wait for something to become true."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tests.wire.rtp_packets import Recorder
from tests.wire.scripted_rtsp_server import ScriptedServer

from vms.common.camera import Transport
from vms.common.clock import SystemClock
from vms.common.source_url import SourceUrl
from vms.wire.rtsp.client import RtspSession


@asynccontextmanager
async def opened(
    server: ScriptedServer, url: str | None = None, transport: Transport = Transport.TCP, timeout_s: float = 5
) -> AsyncIterator[RtspSession]:
    source = SourceUrl(url or server.url)
    session = await RtspSession.open(source, transport=transport, clock=SystemClock(), timeout_s=timeout_s)
    try:
        yield session
    finally:
        await session.close()


async def play(session: RtspSession) -> list[Recorder]:
    """Set every line up and play."""
    recorders = []
    for line in session.media:
        recorders.append(Recorder())
        await session.setup(line, recorders[-1])
    await session.play()
    return recorders


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.002)
