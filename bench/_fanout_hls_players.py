"""Players of HLS for the fan-out bench: each reloads its playlist and fetches what is new in it, over one connection.

A whole-segment player reloads every `SEGMENT_S`, each at a moment of its own, and fetches the segments that it has
not had. A player of parts asks for the playlist that has the next part, which the server answers once it has it, and
fetches the part.

Belongs here: players and their process. Does not: servers (_fanout_hls), figures (fanout_protocols).
"""

import re
import select
import socket
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from urllib.parse import urljoin, urlsplit

from bench._fanout_pictures import Joined, Seen, allow_many_files, numbers_inside
from bench._fanout_players import SO_TIMESTAMPNS, receive

SEGMENT_S = 2.0
ANSWER_TIMEOUT_S = 15.0
JOIN_TIMEOUT_S = 60.0
GATHER_S = 0.01
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_MAP = re.compile(r'#EXT-X-MAP:URI="([^"]+)"')
_PART = re.compile(r'#EXT-X-PART:.*URI="([^"]+)"')
_PART_NUMBERS = re.compile(r"(\d+)\.(\d+)\.mp4")

Pictures = dict[str, tuple[bytes, list[tuple[int, bool]]]]
"""By path: what a segment was when the first player got it, and the pictures in it: all players get the same."""


class HlsPlayer:
    """One player of whole segments. Raises OSError when it cannot connect.

    due_s: when it does something by itself, monotonic; infinity while it waits for an answer.
    """

    def __init__(self, url: str, seen: Seen, pictures: Pictures) -> None:
        where = urlsplit(url)
        self.has_picture = False
        self.due_s = float("inf")
        self._url = url
        self._seen = seen
        self._pictures = pictures
        self._begun_ns = self._asked_ns = time.time_ns()
        self._host = where.netloc
        self._got: set[str] = set()
        self._wanted: deque[str] = deque()
        self._took: Callable[[bytes, int], None] = self._take_playlist
        self._asked_url = ""
        self._chunks: list[bytes] = []
        self._size = 0
        self._answer_bytes = 0  # head and body, once the head is there
        self.socket = socket.create_connection((where.hostname, where.port), ANSWER_TIMEOUT_S)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.socket.setblocking(False)
        self._reload()

    def tick(self, now_s: float) -> None:
        if now_s >= self.due_s:
            self._reload()

    def readable(self) -> None:
        received = receive(self.socket)
        if received is None:
            return
        data, arrived_ns = received
        self._chunks.append(data)
        self._size += len(data)
        if not self._answer_bytes:
            self._read_head()
        if self._answer_bytes and self._size >= self._answer_bytes:
            answer, self._chunks, self._size, self._answer_bytes = b"".join(self._chunks), [], 0, 0
            self._took(answer[answer.index(b"\r\n\r\n") + 4 :], arrived_ns)

    def _read_head(self) -> None:
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return
        if not data.startswith(b"HTTP/1.1 200"):
            raise ConnectionError(f"{self._asked_url.partition('?')[0]}: {data[:end].decode()}")
        length = _LENGTH.search(data, 0, end)
        assert length, "an answer without content-length"
        self._answer_bytes = end + 4 + int(length[1])

    def _ask(self, url: str, took: Callable[[bytes, int], None]) -> None:
        where = urlsplit(url)
        self._asked_url, self._took, self._asked_ns = url, took, time.time_ns()
        self.due_s = float("inf")
        target = f"{where.path}?{where.query}" if where.query else where.path
        self.socket.send(f"GET {target} HTTP/1.1\r\nHost: {self._host}\r\nUser-Agent: bench\r\n\r\n".encode())

    def _reload(self) -> None:
        self._reload_s = time.monotonic()
        self._ask(self._url, self._take_playlist)

    def _take_playlist(self, body: bytes, arrived_ns: int) -> None:
        text = body.decode()
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        if "#EXT-X-STREAM-INF" in text:
            self._url = urljoin(self._url, lines[0])
            self._reload()
            return
        init = _MAP.search(text)
        if init and init[1] not in self._got and not self._got:
            self._got.update([init[1], *lines[:-1]])  # it begins with the newest segment
            self._wanted.append(init[1])
        self._find(text, lines)
        self._next()

    def _find(self, text: str, lines: list[str]) -> None:
        self._wanted += [line for line in lines if line not in self._got]
        self._got.update(lines)

    def _next(self) -> None:
        if self._wanted:
            self._ask(urljoin(self._url, self._wanted.popleft()), self._take_media)
        else:
            self.due_s = self._reload_s + SEGMENT_S

    def _take_media(self, body: bytes, arrived_ns: int) -> None:
        path = urlsplit(self._asked_url).path
        known = self._pictures.get(path)
        if known is None:
            known = self._pictures[path] = body, numbers_inside(body)
        first, pictures = known
        seen = self._seen
        if body != first:
            seen.mismatches += 1
        if pictures:
            seen.answers_ms.append((self._asked_ns, (arrived_ns - self._asked_ns) / 1e6))
        for number, key in pictures:
            seen.counts[number] = seen.counts.get(number, 0) + 1
            if key and not self.has_picture:
                self.has_picture = True
                seen.first_picture_ms.append((arrived_ns - self._begun_ns) / 1e6)
        self._note(pictures, arrived_ns)
        self._next()

    def _note(self, pictures: list[tuple[int, bool]], arrived_ns: int) -> None:
        """Of whole segments a delay says only when the player asked."""


class PartsPlayer(HlsPlayer):
    """One player of parts, of our playlists."""

    _newest: tuple[int, int] | None = None  # segment and part that it has

    def _find(self, text: str, lines: list[str]) -> None:
        parts = []
        for url in _PART.findall(text):
            numbers = _PART_NUMBERS.search(url)
            assert numbers, "a part with another name than ours"
            parts.append(((int(numbers[1]), int(numbers[2])), url))
        if self._newest is None and parts:
            self._newest = parts[-1][0]
            # The segment that grows, from its key picture on
            self._wanted += [url for number, url in parts if number[0] == self._newest[0]]
        for number, url in parts:
            if self._newest is not None and number > self._newest:
                self._newest = number
                self._wanted.append(url)

    def _next(self) -> None:
        if self._wanted or self._newest is None:
            super()._next()
            return
        url = self._url.partition("&_HLS_msn")[0]
        self._url = f"{url}&_HLS_msn={self._newest[0]}&_HLS_part={self._newest[1] + 1}"
        self._reload()

    def _note(self, pictures: list[tuple[int, bool]], arrived_ns: int) -> None:
        last_ns = self._seen.last_ns
        for number, _ in pictures:
            if arrived_ns > last_ns.get(number, 0):
                last_ns[number] = arrived_ns


def run_hls_players(kind: type[HlsPlayer], pipe: Connection, url: str, count: int) -> None:
    """As run_players does; a player has joined once it has pictures, and players begin evenly over SEGMENT_S."""
    allow_many_files()
    crowd = _Crowd(kind, url, count)
    begun_s = time.monotonic()
    joined = Joined(0, 0.0, done=False)
    while joined.viewers < count and joined.seconds < JOIN_TIMEOUT_S:
        crowd.take(GATHER_S)
        having = sum(player.has_picture for player in crowd.players.values())
        joined = replace(joined, viewers=having, seconds=time.monotonic() - begun_s)
    pipe.send(replace(joined, done=True))
    while not pipe.poll():
        crowd.take(GATHER_S)
    pipe.send(crowd.seen)
    pipe.recv()


class _Crowd:
    def __init__(self, kind: type[HlsPlayer], url: str, count: int) -> None:
        self.seen = Seen()
        self.players: dict[int, HlsPlayer] = {}
        self._kind = kind
        self._url = url
        self._count = count
        self._pictures: Pictures = {}
        self._poll = select.epoll()
        self._begun_s = time.monotonic()

    def take(self, timeout_s: float) -> None:
        now_s = time.monotonic()
        while (begun := len(self.players)) < self._count:
            if now_s < self._begun_s + SEGMENT_S * begun / self._count:
                break
            player = self._kind(self._url, self.seen, self._pictures)
            self.players[player.socket.fileno()] = player
            self._poll.register(player.socket.fileno(), select.EPOLLIN)
        for player in self.players.values():
            player.tick(now_s)
        for fd, _ in self._poll.poll(timeout_s, 2048):
            self.players[fd].readable()
