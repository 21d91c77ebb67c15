"""A camera or encoder that is called by SRT: what the srt process brings, into a feed."""

from pathlib import Path
from typing import NoReturn

from vms.common.camera import Camera
from vms.common.clock import Clock
from vms.ingest.errors import (
    SourceEnded,
    SourceError,
    SourceNotFound,
    SourceProtocolError,
    SourceRefused,
    SourceUnauthorized,
    SourceUnreachable,
    SourceUnsupported,
)
from vms.ingest.feed import Feed
from vms.ingest.srt.link import CONNECTED, Kind, Link, LinkBroken, Opening, State
from vms.ingest.srt.ts_feed import TsFeed

START_S = 5.0
"""That the srt process may take to be there: it starts with the system, and again when it died."""
_ERRORS: dict[str, type[SourceError]] = {
    kind.code: kind
    for kind in (
        SourceEnded,
        SourceNotFound,
        SourceProtocolError,
        SourceRefused,
        SourceUnauthorized,
        SourceUnreachable,
    )
}


class SrtSource:
    """Implements `Source` for srt:// cameras. gateway: the socket of the srt process; None: there is none."""

    def __init__(self, camera: Camera, clock: Clock, gateway: Path | None) -> None:
        self._camera = camera
        self._clock = clock
        self._gateway = gateway

    async def run(self, feed: Feed) -> None:
        camera = self._camera
        where = f"{camera.id} ({camera.source.safe})"
        if self._gateway is None:
            raise SourceUnsupported(f"{where}: nothing here calls by SRT")
        try:
            link = await Link.open(self._gateway, wait_s=START_S)
        except LinkBroken as error:
            raise SourceUnreachable(f"{where}: {error}") from error
        try:
            link.send(Opening(camera.id, camera.source.reveal()).encode())
            await self._receive(link, TsFeed(feed, camera.id), feed, where)
        except LinkBroken as error:
            raise SourceEnded(f"{where}: {error}") from error
        finally:
            link.close()

    async def _receive(self, link: Link, stream: TsFeed, feed: Feed, where: str) -> NoReturn:
        while True:
            kind, payload = await link.receive()
            if kind is Kind.DATA:
                stream.data(payload, self._clock.monotonic_ns())
            elif kind is Kind.LOST:
                stream.lost(int.from_bytes(payload))
            else:
                state = State.parse(payload)
                if state.code != CONNECTED:
                    stream.end(self._clock.monotonic_ns())
                    raise _ERRORS.get(state.code, SourceError)(f"{where}: {state.text}")
                feed.delay_ns = state.delay_ms * 1_000_000
                feed.play()
