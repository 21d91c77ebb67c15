"""The pictures of the fan-out benches: synthetic H.264 that says, in each packet, which picture it is of.

Belongs here: pictures, their pace, what is said of them, what processes of the bench need of the system.
Does not: servers and viewers.
"""

import asyncio
import gc
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from vms.format import nal

FPS = 25
CLOCK_RATE = 90_000
TICKS = CLOCK_RATE // FPS
KEY_INTERVAL = 50
PARAMETER_SETS = (  # 1080p, constrained baseline; servers look for them where pictures can be joined
    bytes.fromhex("6742c028da01e0089f97016a02020280000003008000001907"),
    bytes.fromhex("68ce3c80"),
)
_MARK = b"\x55\xa7\x31"
_IDR = 5


@dataclass(frozen=True, slots=True)
class Load:
    """What one run sends: pictures of `frame_bytes`, 25 a second, to `viewers`."""

    viewers: int
    frame_bytes: int


@dataclass(slots=True)
class Seen:
    """counts, last_ns: by number of the picture: how many viewers had it, and when the last had it whole
    (wall clock). mismatches: pictures that were not what their RTP timestamp said, of those decrypted.
    first_picture_ms: from a viewer's request to its first whole key picture. answers_ms: of requests for media, when
    it was asked (wall clock, ns), and from then to the answer's last byte."""

    counts: dict[int, int] = field(default_factory=dict)
    last_ns: dict[int, int] = field(default_factory=dict)
    decrypted: int = 0
    mismatches: int = 0
    first_picture_ms: list[float] = field(default_factory=list)
    answers_ms: list[tuple[int, float]] = field(default_factory=list)
    profile: str = ""

    def whole(self, number: int, arrived_ns: int) -> None:
        """A viewer has the whole of a picture, since `arrived_ns` (wall clock)."""
        self.counts[number] = self.counts.get(number, 0) + 1
        if arrived_ns > self.last_ns.get(number, 0):
            self.last_ns[number] = arrived_ns


@dataclass(frozen=True, slots=True)
class Joined:
    """viewers: that are connected. seconds: from the first one's request until the last was connected."""

    viewers: int
    seconds: float
    done: bool = True


def picture(frame_bytes: int, number: int) -> tuple[bytes, bool]:
    """A length-prefixed access unit of one slice, and whether it is a key picture."""
    key = number % KEY_INTERVAL == 0
    # Seven bits a byte with the eighth set: no start code (00 00 01) arises in it.
    digits = bytes(number >> shift & 0x7F | 0x80 for shift in (21, 14, 7, 0))
    slice_bytes = (b"\x65" if key else b"\x41") + (digits + _MARK) * (frame_bytes // 7)
    return nal.join([*(PARAMETER_SETS if key else ()), slice_bytes[: frame_bytes - 4]]), key


def number_of(payload: bytes) -> tuple[int, bool] | None:
    """Which picture the payload of the last packet of one is from, and whether that is a key picture."""
    at = payload.find(_MARK, 6)
    if at < 0:
        return None
    number = 0
    for digit in payload[at - 4 : at]:
        number = number << 7 | digit & 0x7F
    nal_type = payload[payload[0] & 0x1F == 28] & 0x1F  # FU-A keeps it in its second byte (RFC 6184 §5.8)
    return number, nal_type == _IDR


def number_inside(data: bytes, start: int = 0, end: int | None = None) -> tuple[int, bool] | None:
    """Of which picture the first slice that begins between `start` and `end` is, and whether it is a key picture."""
    at = data.find(_MARK, start, end)
    if at < start + 5:
        return None
    number = 0
    for digit in data[at - 4 : at]:
        number = number << 7 | digit & 0x7F
    return number, data[at - 5] & 0x1F == _IDR


def numbers_inside(data: bytes) -> list[tuple[int, bool]]:
    """As number_inside says of each picture of fragments whose samples are whole pictures."""
    found: list[tuple[int, bool]] = []
    at = 0
    while (fragment := data.find(b"mdat", at)) >= 0:
        end = fragment - 4 + int.from_bytes(data[fragment - 4 : fragment])
        at = fragment + 4
        while at < end:
            after = at + 4 + int.from_bytes(data[at : at + 4])
            picture = number_inside(data, at, after)
            if picture is not None:
                found.append(picture)
            at = after
    return found


async def pace(push: Callable[[int], None], pushed_ns: list[int]) -> None:
    """Push pictures for ever, from number 0; note the wall clock before each."""
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    while True:
        number = len(pushed_ns)
        await asyncio.sleep(begun_s + number / FPS - loop.time())
        pushed_ns.append(time.time_ns())
        push(number)


async def pace_until(pipe: Connection, push: Callable[[int], None]) -> None:
    """Say that this process is ready; push pictures until something is said on the pipe; say when each was
    pushed."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_reader(pipe.fileno(), stop.set)
    pushed_ns: list[int] = []
    gc.collect()
    gc.freeze()  # as our processes do once they have started
    pacing = asyncio.create_task(pace(push, pushed_ns))
    pipe.send("ready")
    told = asyncio.create_task(stop.wait())
    await asyncio.wait({told, pacing}, return_when=asyncio.FIRST_COMPLETED)
    if pacing.done():
        pacing.result()
    pacing.cancel()
    pipe.send(pushed_ns)


def cpu_ns(pid: int) -> int:
    """User and system time of a process so far, threads that have ended included, to the nanosecond."""
    return time.clock_gettime_ns(~pid << 3 | 2)  # clock_getcpuclockid(3), which Python has not


def allow_many_files() -> None:
    """Let this process and those it starts open as many files, sockets included, as the system lets them."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
