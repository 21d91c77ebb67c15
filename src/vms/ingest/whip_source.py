"""A camera that is published to us, by WHIP or SRT: wait for a publisher, then let it fill the feed.

And which source a camera's address asks for.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

from vms.common.camera import Camera
from vms.common.clock import Clock
from vms.common.errors import Unavailable
from vms.ingest.errors import PublisherLeft, SourceError, SourceUnreachable
from vms.ingest.feed import Feed
from vms.ingest.publication import NO_PUBLISHER
from vms.ingest.publishers import Place, Publishers
from vms.ingest.rtsp_source import RtspSource
from vms.ingest.source import Source, SourceFactory
from vms.ingest.srt.publication import receive_publishers
from vms.ingest.srt.source import SrtSource


class WhipSource:
    """Implements `Source` for whip:// cameras. gateway: the socket of the srt process."""

    def __init__(
        self, camera: Camera, publishers: Publishers, clock: Clock, gateway: Path | None = None
    ) -> None:
        self._camera = camera
        self._publishers = publishers
        self._clock = clock
        self._gateway = gateway

    async def run(self, feed: Feed) -> None:
        feed.waiting = NO_PUBLISHER
        try:
            with self._publishers.place(self._camera.id, feed) as place, self._open_for_srt(place):
                reason = await place.ended
        except SourceError:
            raise
        except Unavailable as error:
            raise SourceUnreachable(f"{self._camera.id}: {error}") from error
        raise PublisherLeft(f"{self._camera.id}: {reason}; it waits for another one")

    @contextlib.contextmanager
    def _open_for_srt(self, place: Place) -> Iterator[None]:
        if self._gateway is None:
            yield
            return
        receiving = asyncio.create_task(receive_publishers(place, self._gateway, self._clock))
        receiving.add_done_callback(lambda done: _tell_failure(place, done))
        try:
            yield
        finally:
            receiving.cancel()


def _tell_failure(place: Place, done: asyncio.Task[None]) -> None:
    """What nobody foresaw ends the session, and is the supervisor's to report."""
    error = None if done.cancelled() else done.exception()
    if error is not None and not place.ended.done():
        place.ended.set_exception(error)


def sources(publishers: Publishers, gateway: Path | None = None) -> SourceFactory:
    """The source that a camera's URL asks for. gateway: the socket of the srt process; None: there is none."""

    def open_source(camera: Camera, clock: Clock) -> Source:
        if camera.source.scheme == "whip":
            return WhipSource(camera, publishers, clock, gateway)
        if camera.source.scheme == "srt":
            return SrtSource(camera, clock, gateway)
        return RtspSource(camera, clock)

    return open_source
