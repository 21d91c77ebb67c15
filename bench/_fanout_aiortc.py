"""aiortc as a server of the fan-out bench; a module of its own, so that our server does not import it.

Belongs here: aiortc's side of a session, its pictures. Does not: the process around it (_fanout_sides).
"""

import asyncio
from fractions import Fraction
from multiprocessing.connection import Connection
from typing import Any

import av
import uvloop
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack

from bench._fanout_pictures import CLOCK_RATE, TICKS, Load, picture
from bench._fanout_sides import serve
from vms.format import nal


class Feed(MediaStreamTrack):
    """Encoded pictures for one sender; aiortc packs them without encoding them again."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self.queue: asyncio.Queue[av.Packet[Any]] = asyncio.Queue()

    async def recv(self) -> Any:
        return await self.queue.get()


def run_aiortc(pipe: Connection, offers: Connection, load: Load) -> None:
    uvloop.run(_aiortc(pipe, offers, load))


async def _aiortc(pipe: Connection, offers: Connection, load: Load) -> None:
    connections: list[RTCPeerConnection] = []
    feeds: list[Feed] = []

    async def answer(offer: str) -> str:
        connection, feed = RTCPeerConnection(), Feed()
        connections.append(connection)
        connection.addTrack(feed)

        @connection.on("connectionstatechange")
        def changed() -> None:
            if connection.connectionState == "connected":
                feeds.append(feed)

        await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await connection.setLocalDescription(await connection.createAnswer())
        description: str = connection.localDescription.sdp
        return description

    def push(number: int) -> None:
        packet = av.Packet(nal.to_annex_b(picture(load.frame_bytes, number)[0]))
        packet.pts = number * TICKS
        packet.time_base = Fraction(1, CLOCK_RATE)
        for feed in feeds:
            feed.queue.put_nowait(packet)

    await serve(pipe, offers, answer, push)
