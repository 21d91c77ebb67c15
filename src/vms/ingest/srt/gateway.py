"""In the srt process: calls encoders for media processes, hands them publishers, and passes on what these send.

A media process opens a link for each camera (link). What it cannot take is left out, counted, and told: the bytes that
wait for one link are bounded, and nothing else waits for it.

Belongs here: links, calls, the places of publishers. Does not: who may call us (vms.stream.srt), transport streams.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from vms.common import unix_socket
from vms.common.errors import InvalidInput, Unavailable, VmsError
from vms.common.ids import CameraId
from vms.common.srt_url import SrtUrl
from vms.ingest.srt.link import CONNECTED, MAX_FRAME_BYTES, Kind, Link, LinkBroken, Opening, State
from vms.ingest.srt.pump import Pump
from vms.telemetry.logs import get_logger
from vms.telemetry.metrics import MetricFamily, MetricKind
from vms.wire.errors import PeerUnreachable
from vms.wire.srt import (
    CallRefused,
    RejectReason,
    SrtConnection,
    SrtOptions,
    SrtPoller,
    SrtUnavailable,
    connect,
    resolved,
)

log = get_logger(__name__)

MAX_LINKS = 1024
OPENING_S = 5.0
PLACE_S = 4.0
"""So long a publisher waits for its camera's place, which closes for a moment after each publisher."""
MAX_WAITING = 64
DELIVER_S = 1.0
"""So long a stop waits for media processes to take what is there for them."""
MAX_SEEN = 10_000
SILENT_S = 3.0
"""A publisher that is silent for so long makes room for another."""
_CODES = {
    RejectReason.BAD_SECRET: "unauthorized",
    RejectReason.UNSECURE: "unauthorized",
    RejectReason.UNAUTHORIZED: "unauthorized",
    RejectReason.FORBIDDEN: "unauthorized",
    RejectReason.NOT_FOUND: "not_found",
}


class _Place:
    """Where one camera's publisher is. taken: by one that came another way."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.taken = False
        self.pump: Pump | None = None

    @property
    def is_free(self) -> bool:
        pump = self.pump  # once: the loop may set it meanwhile
        return not self.taken and (pump is None or pump.silent_s > SILENT_S)


class SrtGateway:
    """Serves media processes at the socket `path` between `start` and `stop`.

    poller: started, and stopped after this. options: of calls; the address of each says its own latency.
    Counters: calls, failed (calls, by reason), publishers (that came).
    """

    def __init__(self, path: Path, poller: SrtPoller, options: SrtOptions | None = None) -> None:
        self.calls = 0
        self.failed: Counter[str] = Counter()
        self.publishers = 0
        self._path = path
        self._poller = poller
        self._options = options or SrtOptions()
        self._server: asyncio.Server | None = None
        self._links: dict[Link, asyncio.Task[None]] = {}
        self._places: dict[CameraId, _Place] = {}
        self._seen: set[CameraId] = set()  # cameras that had a place
        self._waiting: dict[CameraId, SrtConnection] = {}  # publishers that came before their place
        self._pumps: dict[Pump, CameraId] = {}
        self._past: Counter[str] = Counter()

    async def start(self) -> None:
        """Raises Unavailable."""
        try:
            listener = unix_socket.listen(self._path)
        except OSError as error:
            raise Unavailable(f"socket {self._path}: {error.strerror}; check its directory") from error
        self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=2 * MAX_FRAME_BYTES)

    async def stop(self) -> None:
        """End every connection."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        links = dict(self._links)
        for link in links:  # no cancelling: asyncio of Python 3.11 says of such tasks that they crashed
            link.close()
        if links:
            await asyncio.wait(links.values(), timeout=DELIVER_S)
        for link in links:  # of media processes that take nothing
            link.abort()
        await asyncio.gather(*links.values(), return_exceptions=True)
        for connection in self._waiting.values():
            connection.close()
        self._waiting.clear()

    @property
    def incoming(self) -> int:
        """Cameras and encoders that send now."""
        return len(self._pumps)

    def refuses(self, camera_id: CameraId) -> RejectReason | None:
        """Why a publisher of a camera cannot come now; None when it can. May be called in any thread."""
        place = self._places.get(camera_id)
        if place is None:
            return None if camera_id in self._seen else RejectReason.NOT_FOUND
        return None if place.is_free else RejectReason.CONFLICT

    def take(self, camera_id: CameraId, connection: SrtConnection) -> None:
        """A publisher that was let in; it is closed when there is no place for it within PLACE_S."""
        place = self._places.get(camera_id)
        if place is not None and place.is_free and place.pump is None:
            self._give(camera_id, place, connection)
            return
        if place is not None and place.is_free and place.pump is not None:
            place.pump.end("the publisher was silent, and another one came")
            place = None
        before = self._waiting.get(camera_id)
        taken = place is not None or (before is not None and not before.closed)
        if taken or len(self._waiting) >= MAX_WAITING:
            self._send_away(camera_id, connection)
        else:
            self._waiting[camera_id] = connection
            asyncio.get_running_loop().call_later(PLACE_S, self._give_up, camera_id, connection)

    def _give(self, camera_id: CameraId, place: _Place, connection: SrtConnection) -> None:
        self.publishers += 1
        place.link.send(_connected(connection, f"from {connection.peer[0]}"))
        pump = self._pump(camera_id, connection, place.link)
        place.pump = pump
        pump.ended.add_done_callback(lambda ended: self._left(place, pump, ended))

    def _fill(self, camera_id: CameraId, place: _Place) -> None:
        """Give a place that is free to the publisher that waits for it."""
        connection = self._waiting.get(camera_id)
        if connection is not None and place.pump is None:
            del self._waiting[camera_id]
            if not connection.closed:
                self._give(camera_id, place, connection)

    def _give_up(self, camera_id: CameraId, connection: SrtConnection) -> None:
        if self._waiting.get(camera_id) is connection:
            del self._waiting[camera_id]
            self._send_away(camera_id, connection)

    def _send_away(self, camera_id: CameraId, connection: SrtConnection) -> None:
        log.info("a SRT publisher is sent away", camera=camera_id, reason="no place for it")
        connection.close()

    def metrics(self) -> Iterable[MetricFamily]:
        now = {camera_id: pump for pump, camera_id in self._pumps.items()}
        yield MetricFamily(
            "vms_srt_in_connections",
            MetricKind.GAUGE,
            "cameras and encoders that send by SRT now",
            (),
            [((), float(self.incoming))],
        )
        for name, text, value in (
            ("vms_srt_in_calls", "calls of cameras and encoders", self.calls),
            ("vms_srt_in_publishers", "publishers that came by SRT", self.publishers),
        ):
            yield MetricFamily(name, MetricKind.COUNTER, text, (), [((), float(value))])
        yield MetricFamily(
            "vms_srt_in_calls_failed",
            MetricKind.COUNTER,
            "calls of cameras and encoders that failed, by reason",
            ("reason",),
            [((reason,), float(count)) for reason, count in self.failed.items()],
        )
        totals = self._past + sum((pump.counters() for pump in self._pumps), Counter())
        for name, text in _COUNTED.items():
            yield MetricFamily(
                f"vms_srt_in_{name}", MetricKind.COUNTER, text, (), [((), float(totals[name]))]
            )
        found = {camera_id: pump.connection.statistics() for camera_id, pump in now.items()}
        yield MetricFamily(
            "vms_srt_in_rtt_ms",
            MetricKind.GAUGE,
            "round trip to the encoder",
            ("camera",),
            [((camera_id,), each.rtt_ms) for camera_id, each in found.items() if each is not None],
        )

    # links

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = Link(reader, writer)
        if self._server is None or len(self._links) >= MAX_LINKS:
            link.close()
            return
        task = asyncio.current_task()
        assert task is not None
        self._links[link] = task
        try:
            async with asyncio.timeout(OPENING_S):
                kind, payload = await link.receive()
            if kind is not Kind.OPEN:
                raise LinkBroken("a link that does not say what it is for")
            opening = Opening.parse(payload)
            if opening.url is None:
                await self._wait(opening.camera_id, link)
            else:
                await self._serve_call(opening.camera_id, opening.url, link)
        except (LinkBroken, TimeoutError):
            pass  # the media process has gone, or wants no more
        except Exception:
            log.exception("a link for SRT crashed")
        finally:
            del self._links[link]
            link.close()

    async def _wait(self, camera_id: CameraId, link: Link) -> None:
        """Keep the place of a camera's publisher open until its media process takes it away."""
        before = self._places.get(camera_id)
        if before is not None:  # of a process that has not noticed yet that the camera has moved
            before.link.close()
        place = self._places[camera_id] = _Place(link)
        if len(self._seen) < MAX_SEEN:
            self._seen.add(camera_id)
        self._fill(camera_id, place)
        try:
            while True:
                kind, _ = await link.receive()
                place.taken = kind is Kind.TAKEN
                if not place.taken:
                    self._fill(camera_id, place)
                if place.taken and place.pump is not None:
                    place.pump.end("the camera is published another way")
        finally:
            if self._places.get(camera_id) is place:
                del self._places[camera_id]
            if place.pump is not None:
                place.pump.end("the camera takes no publisher any more")

    async def _serve_call(self, camera_id: CameraId, url: str, link: Link) -> None:
        """Call for as long as the media process wants it."""
        call = asyncio.create_task(self._call(camera_id, url, link))
        gone = asyncio.create_task(_until_gone(link))
        try:
            await asyncio.wait((call, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            call.cancel()
            gone.cancel()
            await asyncio.wait((call, gone))
        if not call.cancelled():
            call.result()

    async def _call(self, camera_id: CameraId, url: str, link: Link) -> None:
        self.calls += 1
        try:
            connection = await self._connect(url)
        except VmsError as error:
            code = _code(error)
            self.failed[code] += 1
            link.send(State(code, str(error)).encode())
            return
        link.send(_connected(connection))
        pump = self._pump(camera_id, connection, link)
        try:
            reason = await pump.ended
            link.send(State("ended", reason).encode())
        finally:
            pump.end("the call was ended")

    async def _connect(self, url: str) -> SrtConnection:
        try:
            address = SrtUrl.parse(url)
        except ValueError as error:
            raise InvalidInput(str(error)) from None
        options = SrtOptions(
            latency_ms=address.latency_ms,
            key_bytes=address.key_bytes,
            receive_buffer_bytes=self._options.receive_buffer_bytes,
            connect_timeout_s=self._options.connect_timeout_s,
            idle_s=self._options.idle_s,
        )
        return await connect(
            self._poller,
            (await resolved(address.host, address.port), address.port),
            stream_id=address.stream_id,
            passphrase=address.passphrase,
            options=options,
        )

    def _pump(self, camera_id: CameraId, connection: SrtConnection, link: Link) -> Pump:
        pump = Pump(connection, link)
        self._pumps[pump] = camera_id
        pump.ended.add_done_callback(lambda _: self._forget(pump))
        return pump

    def _forget(self, pump: Pump) -> None:
        if self._pumps.pop(pump, None) is not None:
            self._past += pump.counters()

    def _left(self, place: _Place, pump: Pump, ended: asyncio.Future[str]) -> None:
        place.pump = None
        place.link.send(State("ended", ended.result()).encode())


_COUNTED = {
    "messages": "SRT messages that came",
    "bytes": "bytes of media that came by SRT",
    "messages_lost": "SRT messages that did not come in time",
    "messages_left_out": "SRT messages that a media process was too slow for",
}


def _connected(connection: SrtConnection, text: str = "") -> bytes:
    statistics = connection.statistics()
    return State(CONNECTED, text, statistics.receive_delay_ms if statistics is not None else 0).encode()


def _code(error: VmsError) -> str:
    """The slug of `vms.ingest.errors` for a call that failed."""
    if isinstance(error, CallRefused):
        try:
            return _CODES.get(RejectReason(error.reason), "refused")
        except ValueError:
            return "refused"
    if isinstance(error, PeerUnreachable):
        return "unreachable"
    return "failed" if isinstance(error, SrtUnavailable | InvalidInput) else "unreachable"


async def _until_gone(link: Link) -> None:
    with contextlib.suppress(LinkBroken):
        while True:
            await link.receive()
