"""Players over TCP for the fan-out benches: a process that joins them one after the other, and reads them all.

Belongs here: the process, what every player notes. Does not: what a player asks for and sees in what it gets (one module a protocol).
"""

import select
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Protocol

from bench._fanout_pictures import Joined, Seen, allow_many_files

JOIN_TIMEOUT_S = 60.0
GATHER_S = 0.01
READ_BYTES = 1 << 18
SO_TIMESTAMPNS = 35  # asm-generic/socket.h
_TIMESPEC = struct.Struct("qq")


class Player(Protocol):
    """Connects and plays in its constructor, which gets a URL and where to note what it sees. Raises OSError
    when it cannot."""

    socket: socket.socket

    def readable(self) -> None: ...


class Notes:
    """What one player notes of the pictures that it gets, from when it is made on."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._asked_ns = time.time_ns()
        self._has_picture = False

    def picture(self, found: tuple[int, bool] | None, arrived_ns: int) -> None:
        """found: the number of a whole picture, and whether it is a key picture; None: it says no number."""
        if found is None:
            return
        number, key = found
        self._seen.whole(number, arrived_ns)
        if key and not self._has_picture:
            self._has_picture = True
            self._seen.first_picture_ms.append((arrived_ns - self._asked_ns) / 1e6)


def receive(sock: socket.socket) -> tuple[bytes, int] | None:
    """What is there, and when the newest bytes of it arrived (wall clock, by the kernel); None: nothing is.
    Raises ConnectionError when the server ended the connection."""
    try:
        data, ancillary, _, _ = sock.recvmsg(READ_BYTES, 64)
    except BlockingIOError:
        return None
    if not data:
        raise ConnectionError("the server ended a player's connection")
    if not ancillary:
        return data, time.time_ns()
    seconds, nanoseconds = _TIMESPEC.unpack(ancillary[0][2])
    return data, seconds * 1_000_000_000 + nanoseconds


def run_players(kind: Callable[[str, Seen], Player], pipe: Connection, url: str, count: int) -> None:
    """Start `count` players, one after the other, and say `Joined`; watch until told to stop, then say what
    was `Seen`."""
    allow_many_files()
    seen = Seen()
    players: dict[int, Player] = {}
    poll = select.epoll()
    begun_s = time.monotonic()

    def take(timeout_s: float) -> None:
        for fd, _ in poll.poll(timeout_s, 2048):
            players[fd].readable()

    joined = Joined(0, 0.0, done=False)
    while joined.viewers < count and joined.seconds < JOIN_TIMEOUT_S:
        player = kind(url, seen)
        players[player.socket.fileno()] = player
        poll.register(player.socket.fileno(), select.EPOLLIN)
        joined = replace(joined, viewers=len(players), seconds=time.monotonic() - begun_s)
        if joined.viewers % 100 == 0:
            pipe.send(joined)
        take(0.0)
    pipe.send(replace(joined, done=True))
    while not pipe.poll(GATHER_S):
        take(0.0)
    take(0.1)
    pipe.send(seen)
    pipe.recv()
