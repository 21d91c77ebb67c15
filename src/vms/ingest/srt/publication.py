"""A camera's place for publishers by SRT, beside the one for WHIP: whoever is first has it."""

import asyncio
import contextlib
from pathlib import Path

from vms.common.clock import Clock
from vms.ingest.errors import SourceError
from vms.ingest.publication import take_back
from vms.ingest.publishers import Place
from vms.ingest.srt.link import CONNECTED, Kind, Link, LinkBroken, Opening, State, encode
from vms.ingest.srt.ts_feed import TsFeed
from vms.telemetry.logs import get_logger

log = get_logger(__name__)

AGAIN_S = 1.0
"""After which the srt process is looked for again; it may be dead for a moment, or not configured."""


class SrtPublication:
    """One publisher, from its coming to its end. Implements `Published`."""

    def __init__(self, place: Place, link: Link, clock: Clock, delay_ns: int) -> None:
        self.last_packet_ns = clock.monotonic_ns()
        self._place = place
        self._link = link
        self._clock = clock
        self._stream = TsFeed(place.feed, place.camera_id)
        place.feed.delay_ns = delay_ns
        place.feed.waiting = None
        place.feed.play()

    def end(self) -> None:
        """Close its connection; without effect on one that has ended."""
        self._link.close()
        self.closed("the publisher's session was ended")

    def data(self, payload: bytes) -> None:
        """Raises SourceError when it is of no use."""
        self.last_packet_ns = self._clock.monotonic_ns()
        self._stream.data(payload, self.last_packet_ns)

    def lost(self, messages: int) -> None:
        self._stream.lost(messages)

    def left(self) -> None:
        """Nothing more comes. Before `closed`."""
        if self._place.publication is self:
            self._stream.end(self._clock.monotonic_ns())

    def closed(self, reason: str) -> None:
        """It has gone. Its place is the next one's at once when it had brought nothing."""
        place = self._place
        if place.publication is not self:
            return
        if place.feed.pushed:
            if not place.ended.done():
                place.ended.set_result(reason)
        else:
            self._stream.close()
            take_back(place.feed, [])
        place.publication = None


async def receive_publishers(place: Place, gateway: Path, clock: Clock) -> None:
    """Offer the place to publishers by SRT until cancelled. gateway: the socket of the srt process."""
    while True:
        with contextlib.suppress(LinkBroken):
            link = await Link.open(gateway)
            try:
                await _serve(place, link, clock)
            finally:
                place.on_change = None
                link.close()
        await asyncio.sleep(AGAIN_S)


async def _serve(place: Place, link: Link, clock: Clock) -> None:
    publication: SrtPublication | None = None

    def changed() -> None:
        if place.ended.done():
            return  # it closes
        others = place.publication is not None and place.publication is not publication
        link.send(encode(Kind.TAKEN if others else Kind.FREE))

    link.send(Opening(place.camera_id).encode())
    changed()
    place.on_change = changed
    try:
        while True:
            kind, payload = await link.receive()
            if kind is Kind.STATE:
                state = State.parse(payload)
                if publication is not None:
                    left, publication = publication, None
                    left.left()
                    left.closed(state.text or "the publisher left")
                if state.code == CONNECTED and place.is_open:
                    publication = SrtPublication(place, link, clock, state.delay_ms * 1_000_000)
                    place.publication = publication
                    log.info("a publisher came by SRT", camera=place.camera_id, peer=state.text)
            elif publication is not None and kind is Kind.DATA:
                publication.data(payload)
            elif publication is not None and kind is Kind.LOST:
                publication.lost(int.from_bytes(payload))
    except SourceError as error:
        if not place.ended.done():
            place.ended.set_exception(error)
    finally:
        if publication is not None:
            publication.closed("the publisher went away without a word")
