"""Requests for HLS: addresses, access, and which streams are made.

Belongs here: paths, headers, beginning a stream at its first request and ending it after the last.
Does not: HTTP (vms.stream.http), what a token is (vms.stream.http.token).
"""

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import cast
from urllib.parse import quote

from vms.common.clock import NS, Clock
from vms.common.errors import InvalidInput, NotFound, Unavailable, VmsError
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.stream.errors import Refused
from vms.stream.hls.metrics import hls_metrics
from vms.stream.hls.muxer import HlsMuxer
from vms.stream.hls.playlist import TOKEN
from vms.stream.http import token as token_of_url
from vms.stream.http.request import Request, Response, Router, text_response
from vms.stream.hubs import HubLease, LeaseHub
from vms.telemetry.metrics import MetricFamily

PATTERN = "/hls/{camera_id}/{stream}/{rest}"
READY_TIMEOUT_S = 8.0
IDLE_S = 20.0
STREAMS_MAX = 256
PLAYLIST_LIFETIME_NS = 12 * 3600 * NS
RENEWED_EVERY_NS = 600 * NS
_DIGITS_MAX = 15
_TOKENS_KEPT = 1024
_KEPT_MAX = 256
_SEGMENT = re.compile(rf"(video|audio)/(\d{{1,{_DIGITS_MAX}}})(?:\.(\d{{1,4}}))?\.mp4")
_INIT = re.compile(r"(video|audio)/(init-[0-9a-f]{16})\.mp4")
_PLAYLIST = re.compile(r"(video|audio)\.m3u8")
_PLAIN = re.compile(r"/hls/([a-z0-9-]+)/([a-z]+)/([^?%]+)\?token=([A-Za-z0-9_-]+)")
"""A request as players make it, without anything that would have to be decoded, and without a wish to wait."""
_OPEN = {"access-control-allow-origin": "*", "access-control-max-age": "86400"}
_PLAYLIST_HEADERS = {**_OPEN, "content-type": "application/vnd.apple.mpegurl", "cache-control": "no-store"}
_MEDIA_HEADERS = {**_OPEN, "content-type": "video/mp4", "cache-control": "private, max-age=3600, immutable"}


class UrlTokens:
    """Who may watch. A token stands in every address, since players send neither headers nor cookies.

    secret: of the installation, the same in every process.
    """

    def __init__(self, secret: bytes, clock: Clock) -> None:
        self._secret = secret
        self._clock = clock
        self._expiries: dict[tuple[str, CameraId], int] = {}  # of tokens that were looked at and are good

    def check(self, token: str, camera_id: CameraId) -> int:
        """When it expires (Unix). Raises Refused unless it lets its holder watch this camera now."""
        now_ns = self._clock.wall_ns()
        known_ns = self._expiries.get((token, camera_id), 0)
        if now_ns < known_ns:
            return known_ns
        expires_ns = token_of_url.check(self._secret, token, camera_id, token_of_url.WATCH, now_ns)
        if len(self._expiries) >= _TOKENS_KEPT:
            self._expiries.clear()
        self._expiries[token, camera_id] = expires_ns
        return expires_ns

    def renewed(self, camera_id: CameraId) -> str:
        """One that is good for hours: for the addresses in a playlist, which a player never asks for again.

        The same for all who ask within `RENEWED_EVERY_NS`.
        """
        begun_ns = self._clock.wall_ns() // RENEWED_EVERY_NS * RENEWED_EVERY_NS
        return token_of_url.mint(self._secret, camera_id, token_of_url.WATCH, begun_ns + PLAYLIST_LIFETIME_NS)


def hls_path(camera_id: CameraId, stream: StreamName = StreamName.MAIN) -> str:
    """Where a player begins, without the token."""
    return f"/hls/{camera_id}/{stream}/index.m3u8"


class HlsService:
    """lease: where hubs come from. A stream ends `idle_s` after the last request for it."""

    def __init__(self, lease: LeaseHub, clock: Clock, tokens: UrlTokens, *, idle_s: float = IDLE_S) -> None:
        self._lease = lease
        self._clock = clock
        self._tokens = tokens
        self._idle_s = idle_s
        self._streams: dict[tuple[CameraId, StreamName], _Stream] = {}
        self._kept: dict[str, _Kept] = {}  # by target
        self._sweeper: asyncio.TimerHandle | None = None
        self.requests = 0

    def route(self, router: Router) -> None:
        """Serve HLS at `PATTERN`."""
        router.add(PATTERN, self.handle, self.known)

    @property
    def streams(self) -> Mapping[tuple[CameraId, StreamName], HlsMuxer]:
        """What is made now."""
        return {key: stream.muxer for key, stream in self._streams.items()}

    def metrics(self) -> Iterable[MetricFamily]:
        return hls_metrics(self.streams, self.requests)

    def end_camera(self, camera_id: CameraId) -> None:
        """End the streams of a camera that is no longer configured."""
        for key in [key for key in self._streams if key[0] == camera_id]:
            self._streams.pop(key).close()

    def end_stream(self, camera_id: CameraId, stream: StreamName) -> None:
        """End a stream that a camera has no more; without effect when nobody watches it."""
        ended = self._streams.pop((camera_id, stream), None)
        if ended is not None:
            ended.close()

    async def stop(self) -> None:
        """End every stream; who waits is answered."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        streams, self._streams = self._streams, {}
        self._kept.clear()
        for stream in streams.values():
            stream.close()

    def known(self, target: str) -> Response | None:
        """What `handle` would answer to GET, if nothing has to be waited for and nothing is wrong."""
        kept = self._kept.get(target)
        if kept is None or not kept.good(self._clock.wall_ns()):
            kept = self._find(target)
            if kept is None:
                return None
            if len(self._kept) >= _KEPT_MAX:
                self._kept.clear()
            self._kept[target] = kept
        self.requests += 1
        kept.stream.asked_ns = self._clock.monotonic_ns()
        return kept.response

    def _find(self, target: str) -> "_Kept | None":
        plain = _PLAIN.fullmatch(target)
        if plain is None:
            return None
        camera_id, name, rest, token = plain.groups()
        stream = self._streams.get((CameraId(camera_id), cast(StreamName, name)))
        if stream is None:
            return None
        try:
            expires_ns = self._tokens.check(token, CameraId(camera_id))
        except Refused:
            return None
        response = stream.known(rest, token)
        return None if response is None else _Kept(response, stream, stream.muxer.changes, expires_ns)

    async def handle(self, request: Request) -> Response:
        """Answer one request. Raises what `HttpServer.answer` makes a response of: Refused, NotFound, InvalidInput,
        Conflict, Unavailable."""
        self.requests += 1
        if request.method == "OPTIONS":
            return Response(HTTPStatus.NO_CONTENT, _OPEN)
        if request.method not in ("GET", "HEAD"):
            return text_response(HTTPStatus.METHOD_NOT_ALLOWED, "only GET and HEAD")
        names, token = request.parameters, request.query.get("token", "")
        try:
            camera_id, name = CameraId(names["camera_id"]), StreamName(names["stream"])
        except ValueError:
            return text_response(
                HTTPStatus.NOT_FOUND, "there is no such stream; streams are main, sub and compat"
            )
        self._tokens.check(token, camera_id)
        stream = await self._stream(camera_id, name)
        stream.asking += 1
        try:
            return await self._answer(stream, names["rest"], request.query, camera_id)
        finally:
            stream.asking -= 1
            stream.asked_ns = self._clock.monotonic_ns()

    async def _answer(
        self, stream: "_Stream", rest: str, query: Mapping[str, str], camera_id: CameraId
    ) -> Response:
        muxer = stream.muxer
        if rest == "index.m3u8":
            return stream.playlist(await muxer.multivariant(), self._tokens.renewed(camera_id))
        found = _PLAYLIST.fullmatch(rest) or _SEGMENT.fullmatch(rest) or _INIT.fullmatch(rest)
        if found is None or found[1] not in muxer.renditions:
            raise NotFound("there is no such file in this stream")
        if found.re is _PLAYLIST:
            number, part = _number(query, "_HLS_msn"), _number(query, "_HLS_part")
            skip = query.get("_HLS_skip") in ("YES", "v2")
            text = await muxer.playlist(found[1], number, part, skip=skip)
            return stream.playlist(text, query["token"])
        if found.re is _SEGMENT and found[3] is not None:
            await muxer.part(found[1], int(found[2]), int(found[3]))
        known = stream.known(rest, query["token"])
        if known is None:
            raise NotFound("the segment is not there any more, or not yet; reload the playlist")
        return known

    async def _stream(self, camera_id: CameraId, name: StreamName) -> "_Stream":
        key = (camera_id, name)
        stream = self._streams.get(key)
        if stream is None:
            if len(self._streams) >= STREAMS_MAX:
                raise Unavailable(f"{STREAMS_MAX} cameras are watched by HLS already; try again later")
            stream = self._streams[key] = _Stream(self._lease(camera_id, name), self._clock.monotonic_ns())
            self._sweep_later()
        if not stream.started.done():
            await asyncio.wait((stream.started,))
        if stream.started.cancelled():
            raise Unavailable("the stream has ended; ask again")
        try:
            stream.started.result()
        except VmsError:
            if self._streams.get(key) is stream:
                del self._streams[key]
            stream.close()
            raise
        return stream

    def _sweep_later(self) -> None:
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(self._idle_s / 4, self._sweep)

    def _sweep(self) -> None:
        self._sweeper = None
        due_ns = self._clock.monotonic_ns() - int(self._idle_s * NS)
        for key, stream in tuple(self._streams.items()):
            if not stream.asking and stream.asked_ns <= due_ns:
                del self._streams[key]
                stream.close()
        self._kept = {target: kept for target, kept in self._kept.items() if kept.good(self._clock.wall_ns())}
        if self._streams:
            self._sweep_later()


@dataclass(slots=True)
class _Kept:
    """An answer for all who ask in the same words before the next part comes. changes: the muxer's, when it was made."""

    response: Response
    stream: "_Stream"
    changes: int
    expires_ns: int

    def good(self, now_ns: int) -> bool:
        stream = self.stream
        return self.changes == stream.muxer.changes and now_ns < self.expires_ns and not stream.closed


class _Stream:
    """asking: requests that are being answered. asked_ns: when the last one was."""

    def __init__(self, lease: HubLease, now_ns: int) -> None:
        self.muxer = HlsMuxer(lease)
        self.asking = 0
        self.asked_ns = now_ns
        self.closed = False
        self.started = asyncio.create_task(self.muxer.start(READY_TIMEOUT_S), name="hls")
        self.started.add_done_callback(_seen)
        self._kept: dict[tuple[str, str], Response] = {}
        self._kept_changes = 0

    def known(self, rest: str, token: str) -> Response | None:
        """What there is now."""
        if rest.endswith(".m3u8"):
            return self._once((rest, token), lambda: self._newest(rest, token))
        return self._once((rest, ""), lambda: _media(self.muxer, rest))

    def _newest(self, rest: str, token: str) -> Response | None:
        playlist = _PLAYLIST.fullmatch(rest)
        if playlist is None or playlist[1] not in self.muxer.renditions:
            return None
        text = self.muxer.text(playlist[1])
        return self.playlist(text, token) if text is not None else None

    def playlist(self, text: str, token: str) -> Response:
        """A playlist with a viewer's token in it."""
        response = self._once((text, token), lambda: _playlist(text, token))
        assert response is not None
        return response

    def _once(self, key: tuple[str, str], make: Callable[[], Response | None]) -> Response | None:
        """An answer serves all who ask before the next part comes."""
        changes = self.muxer.changes
        if self._kept_changes != changes or len(self._kept) >= _KEPT_MAX:
            self._kept_changes = changes
            self._kept.clear()
        response = self._kept.get(key) or make()
        if response is not None:
            self._kept[key] = response
        return response

    def close(self) -> None:
        self.closed = True
        self.started.cancel()
        self.muxer.close()


def _seen(started: asyncio.Task[None]) -> None:
    """Its error is told to those who asked; with nobody asking any more it is nobody's."""
    if not started.cancelled():
        started.exception()


def _number(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX):
        raise InvalidInput(f"{name} is no number")
    return int(text)


def _media(muxer: HlsMuxer, rest: str) -> Response | None:
    """An init segment, a whole segment or a part; None: it is not there, any more or yet."""
    found = _SEGMENT.fullmatch(rest) or _INIT.fullmatch(rest)
    if found is None or found[1] not in muxer.renditions:
        return None
    rendition = muxer.renditions[found[1]]
    body: bytes | Sequence[bytes] | None = None
    if found.re is _INIT:
        body = rendition.inits.get(found[2])
    elif (segment := rendition.segment(int(found[2]))) is not None:
        if found[3] is None:
            body = segment.body if segment.complete else None
        elif int(found[3]) < len(segment.parts):
            body = segment.parts[int(found[3])].data
    return Response(HTTPStatus.OK, _MEDIA_HEADERS, body) if body else None


def _playlist(text: str, token: str) -> Response:
    return Response(HTTPStatus.OK, _PLAYLIST_HEADERS, text.replace(TOKEN, quote(token, safe="")).encode())
