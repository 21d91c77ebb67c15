"""The viewers of the fan-out bench: a process that joins them, and notes when each picture was complete.

Real ICE, DTLS and SRTP keys. A filter in the kernel passes of the media only the last packet of each
picture (its marker bit is in clear), so that a thousand viewers cost this process a fraction of a core;
the kernel's time of arrival is taken, not the moment at which Python got to it.

Belongs here: the process, and what it saw. Does not: how descriptions reach the server (signalling).
"""

import ctypes
import select
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection

from bench._fanout_pictures import TICKS, Joined, Seen, allow_many_files, number_of
from bench._fanout_signalling import Signalling
from bench._viewer import SinkViewer
from vms.wire import rtp

AT_ONCE = 25  # joins in progress
JOIN_TIMEOUT_S = 60.0
PROGRESS_S = 5.0
FIRST_PICTURE_TIMEOUT_S = 10.0
TICK_S = 0.25
GATHER_S = 0.01  # sleep between two looks at the sockets once all have joined
SAMPLES = 3  # viewers that decrypt every picture: first, middle, last
LOOKS = 5  # pictures that every viewer decrypts; a server may begin with one that has another timestamp
SO_TIMESTAMPNS = 35  # asm-generic/socket.h
SO_ATTACH_FILTER = 26
_TIMESPEC = struct.Struct("qq")
# Classic BPF, from the UDP header on: pass STUN and DTLS (first byte < 128), RTCP, and RTP with marker.
_PICTURE_ENDS = (
    (0x30, 0, 0, 8),
    (0x45, 0, 2, 0x80),
    (0x30, 0, 0, 9),
    (0x45, 0, 1, 0x80),
    (0x06, 0, 0, 0xFFFF),
    (0x06, 0, 0, 0),
)


class PictureViewer(SinkViewer):
    """A viewer that knows pictures by their RTP timestamps, once it has decrypted a few."""

    def __init__(self, host: str, seen: Seen, *, sample: bool) -> None:
        super().__init__(host)
        self.asked_ns = 0
        self.has_picture = False
        self._seen = seen
        self._sample = sample
        self._anchor: tuple[int, int] | None = None  # timestamp and number of one picture
        self._looks_left = LOOKS
        self._arrived_ns = 0
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        instructions = ctypes.create_string_buffer(
            b"".join(struct.pack("HBBI", *instruction) for instruction in _PICTURE_ENDS)
        )
        program = struct.pack("HL", len(_PICTURE_ENDS), ctypes.addressof(instructions))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)

    def readable(self) -> None:
        """Take one datagram; the poll says when there are more."""
        try:
            datagram, ancillary, _, _ = self.socket.recvmsg(2048, 64)
        except BlockingIOError:
            return
        if ancillary:
            seconds, nanoseconds = _TIMESPEC.unpack(ancillary[0][2])
            self._arrived_ns = seconds * 1_000_000_000 + nanoseconds
        self.take(datagram)

    def _count(self, datagram: bytes) -> None:
        timestamp = int.from_bytes(datagram[4:8], "big")
        if self._sample or self._looks_left or not self.has_picture:
            self._look_inside(datagram, timestamp)
        if self._anchor is None:
            return
        since = (timestamp - self._anchor[0] + (1 << 31) & 0xFFFFFFFF) - (1 << 31)
        self._seen.whole(self._anchor[1] + round(since / TICKS), self._arrived_ns)

    def _look_inside(self, datagram: bytes, timestamp: int) -> None:
        if not self.connected:
            return
        plain = self.open_rtp(datagram)
        header = rtp.parse(plain)
        found = number_of(plain[header.payload_start : header.payload_end])
        if found is None:
            return
        number, key = found
        self._seen.decrypted += 1
        if self._looks_left or self._anchor is None:
            self._looks_left -= 1
            self._anchor = timestamp, number
            assert self.profile is not None
            self._seen.profile = self.profile.name
        elif (timestamp - self._anchor[0]) & 0xFFFFFFFF != (number - self._anchor[1]) * TICKS & 0xFFFFFFFF:
            self._seen.mismatches += 1
        if key and not self.has_picture:
            self.has_picture = True
            self._seen.first_picture_ms.append((self._arrived_ns - self.asked_ns) / 1e6)


def run_viewers(pipe: Connection, signalling: Signalling, host: str, count: int) -> None:
    """Join `count` viewers, or as many as can within 60 s, and say `Joined`, now and then before they are
    done, too; watch until told to stop, then say what was `Seen`."""
    allow_many_files()
    crowd = _Crowd(signalling, host, count)
    crowd.join(pipe.send)
    tick_at = 0.0
    while not pipe.poll(GATHER_S):
        crowd.poll(0.0)
        if time.monotonic() >= tick_at:
            tick_at = time.monotonic() + TICK_S
            crowd.tick()
    crowd.poll(0.1)
    pipe.send(crowd.seen)
    pipe.recv()  # stay until the server has ended: what it sends then finds its sockets open


class _Crowd:
    def __init__(self, signalling: Signalling, host: str, count: int) -> None:
        self.seen = Seen()
        self._signalling = signalling
        self._host = host
        self._count = count
        self._viewers: list[PictureViewer] = []
        self._by_fd: dict[int, PictureViewer] = {}
        self._epoll = select.epoll()

    def join(self, tell: Callable[[Joined], None]) -> None:
        self._signalling.open()
        self._epoll.register(self._signalling.fileno(), select.EPOLLIN)
        samples = {round(at * (self._count - 1) / max(1, SAMPLES - 1)) for at in range(SAMPLES)}
        begun_s = told_s = time.monotonic()
        while True:
            pending = [viewer for viewer in self._viewers if not viewer.connected]
            waited_s = time.monotonic() - begun_s
            joined = Joined(len(self._viewers) - len(pending), waited_s, done=False)
            if joined.viewers == self._count or waited_s > JOIN_TIMEOUT_S:
                break
            if time.monotonic() > told_s + PROGRESS_S:
                told_s = time.monotonic()
                tell(joined)
            for _ in range(min(AT_ONCE - len(pending), self._count - len(self._viewers))):
                self._add(sample=len(self._viewers) in samples)
            self.poll(0.02)
            for viewer in pending:
                viewer.tick()
        for viewer in pending:
            self._epoll.unregister(viewer.socket.fileno())
            self._viewers.remove(viewer)
        deadline = time.monotonic() + FIRST_PICTURE_TIMEOUT_S
        while not all(viewer.has_picture for viewer in self._viewers) and time.monotonic() < deadline:
            self.poll(0.02)
            self.tick()
        tell(replace(joined, done=True))

    def _add(self, *, sample: bool) -> PictureViewer:
        viewer = PictureViewer(self._host, self.seen, sample=sample)
        self._viewers.append(viewer)
        self._by_fd[viewer.socket.fileno()] = viewer
        self._epoll.register(viewer.socket.fileno(), select.EPOLLIN)
        viewer.asked_ns = time.time_ns()
        self._signalling.ask(viewer)
        return viewer

    def poll(self, timeout_s: float) -> None:
        """Take what there is until there is nothing more; at most for a while, so that consent is kept."""
        deadline = time.monotonic() + timeout_s + TICK_S
        while (events := self._epoll.poll(timeout_s, 2048)) and time.monotonic() < deadline:
            timeout_s = 0.0
            for fd, _ in events:
                viewer = self._by_fd.get(fd)
                if viewer is not None:
                    viewer.readable()
                else:
                    self._signalling.readable()

    def tick(self) -> None:
        for viewer in self._viewers:
            viewer.tick()
