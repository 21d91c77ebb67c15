"""A network of a given delay, jitter and loss between two namespaces of this machine, without a kernel module.

    with Link(LinkConditions(rtt_ms=30, jitter_ms=5, loss=0.01)) as link:
        subprocess.Popen(link.near.command("vms", "serve", …))     # listens on link.near.address
        subprocess.Popen(link.far.command("chromium", …))

Each namespace has a TUN device; a process of its own carries packets from one to the other, each after half of
the round trip and up to the jitter more or less, in order, as a queue in a router would; loss is at random, from a
seed, each way. What a rate or a full queue delays or drops is counted too. `cut` makes it swallow everything, both ends
none the wiser, until `mend`. Needs root, `ip` and /dev/net/tun.

Belongs here: the link. Does not: what runs on its ends. Imports nothing but the standard library, so that the
process that carries packets is small and starts at once.
"""

import ctypes
import fcntl
import json
import os
import random
import select
import shutil
import struct
import subprocess
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

NEAR_ADDRESS, FAR_ADDRESS = "10.213.7.1", "10.213.7.2"
MTU = 1500
QUEUE_MAX_BYTES = 4 << 20
"""Each way: half a second at 64 Mb/s."""
_TUNSETIFF = 0x400454CA  # linux/if_tun.h
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_CLONE_NEWNET = 0x40000000
_NAMESPACES = Path("/var/run/netns")
_READS_AT_ONCE = 64
_SLACK_NS = 30_000  # a packet due this soon goes now: the sleep would take longer


@dataclass(frozen=True, slots=True)
class LinkConditions:
    """rtt_ms: both ways together. jitter_ms: a way, more or less. loss: share of packets lost, a way.
    rate_bps: of a way; None: any."""

    rtt_ms: float = 0.0
    jitter_ms: float = 0.0
    loss: float = 0.0
    rate_bps: int | None = None
    seed: int = 1


@dataclass(slots=True)
class WayCounters:
    """late_ns: by how much packets left after they were due, in all; what the carrying itself adds."""

    carried: int = 0
    lost: int = 0
    overflowed: int = 0
    refused: int = 0
    late_ns: int = 0
    late_max_ns: int = 0


@dataclass(frozen=True, slots=True)
class End:
    """One end of a link: a network namespace and its address."""

    namespace: str
    address: str

    def command(self, *words: str) -> list[str]:
        """`words` as a command that runs in the namespace."""
        return ["ip", "netns", "exec", self.namespace, *words]


def why_not() -> str | None:
    """Why there can be no link on this machine, for a person; None when there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "the command ip is not installed (package iproute2)"
    if not Path("/dev/net/tun").exists():
        return "this kernel has no /dev/net/tun"
    return None


class Link:
    """Two namespaces and what carries packets between them, from `with` to its end.

    counters: by way, near to far first; once the link has ended.
    """

    def __init__(self, conditions: LinkConditions = LinkConditions()) -> None:
        self.conditions = conditions
        name = f"vmsl{os.getpid()}"
        self.near = End(f"{name}n", NEAR_ADDRESS)
        self.far = End(f"{name}f", FAR_ADDRESS)
        self.counters: tuple[WayCounters, WayCounters] = (WayCounters(), WayCounters())
        self._carrier: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        if reason := why_not():
            raise OSError(f"no emulated link: {reason}")
        try:
            for end in (self.near, self.far):
                _ip("netns", "add", end.namespace)
                _ip("-n", end.namespace, "link", "set", "lo", "up")
            job = {"ends": [self.near.namespace, self.far.namespace], **asdict(self.conditions)}
            self._carrier = subprocess.Popen(
                [sys.executable, "-I", str(Path(__file__).resolve()), json.dumps(job)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            assert self._carrier.stdout is not None
            if self._carrier.stdout.readline().strip() != "ready":
                raise OSError("the process that carries packets did not start; its message is above")
            for end, other in ((self.near, self.far), (self.far, self.near)):
                _ip("-n", end.namespace, "addr", "add", end.address, "peer", other.address, "dev", "link0")
                _ip("-n", end.namespace, "link", "set", "link0", "mtu", str(MTU), "txqueuelen", "5000", "up")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._end()

    def cut(self) -> None:
        """Lose every packet, also those on their way, until `mend`."""
        self._tell("cut")

    def mend(self) -> None:
        self._tell("mend")

    def _tell(self, what: str) -> None:
        assert self._carrier is not None
        assert self._carrier.stdin is not None
        assert self._carrier.stdout is not None
        self._carrier.stdin.write(f"{what}\n")
        self._carrier.stdin.flush()
        if self._carrier.stdout.readline().strip() != what:
            raise OSError("the process that carries packets has ended; its message is above")

    def _end(self) -> None:
        if self._carrier is not None:
            told, _ = self._carrier.communicate()  # the end of its input is what it waits for
            if self._carrier.returncode == 0 and told:
                there, back = json.loads(told)
                self.counters = WayCounters(**there), WayCounters(**back)
            self._carrier = None
        for end in (self.near, self.far):
            if (_NAMESPACES / end.namespace).exists():
                _ip("netns", "delete", end.namespace)


class _Way:
    """One direction: packets that wait for their time, in the order in which they came."""

    def __init__(self, to: int, conditions: LinkConditions, seed: int) -> None:
        self.counters = WayCounters()
        self.cut = False
        self._to = to
        self._conditions = conditions
        self._chance = random.Random(seed)
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._waiting_bytes = 0
        self._free_ns = 0  # when the line has sent all that it has
        self._last_due_ns = 0

    @property
    def due_ns(self) -> int | None:
        return self._waiting[0][0] if self._waiting else None

    def take(self, packet: bytes, now_ns: int) -> None:
        conditions, chance = self._conditions, self._chance
        if chance.random() < conditions.loss or self.cut:
            self.counters.lost += 1
            return
        if self._waiting_bytes + len(packet) > QUEUE_MAX_BYTES:
            self.counters.overflowed += 1
            return
        sent_ns = now_ns
        if conditions.rate_bps is not None:
            sent_ns = self._free_ns = (
                max(now_ns, self._free_ns) + len(packet) * 8 * 10**9 // conditions.rate_bps
            )
        wait_ms = conditions.rtt_ms / 2 + chance.uniform(-1, 1) * conditions.jitter_ms
        due_ns = max(sent_ns + int(max(0.0, wait_ms) * 1e6), self._last_due_ns)
        self._last_due_ns = due_ns
        self._waiting.append((due_ns, packet))
        self._waiting_bytes += len(packet)

    def give(self, now_ns: int) -> None:
        """Send on what is due."""
        counters, waiting = self.counters, self._waiting
        while waiting and waiting[0][0] <= now_ns + _SLACK_NS:
            due_ns, packet = waiting.popleft()
            self._waiting_bytes -= len(packet)
            if self.cut:
                counters.lost += 1
                continue
            late_ns = max(0, now_ns - due_ns)
            counters.carried += 1
            counters.late_ns += late_ns
            counters.late_max_ns = max(counters.late_max_ns, late_ns)
            try:
                os.write(self._to, packet)
            except OSError:  # its device is not up yet, or its queue is full
                counters.refused += 1


def _carry(near: int, far: int, conditions: LinkConditions) -> tuple[WayCounters, WayCounters]:
    """Until standard input ends; ``cut`` and ``mend`` there, a line each, are done and answered."""
    there, back = _Way(far, conditions, conditions.seed), _Way(near, conditions, conditions.seed + 1)
    ways = {near: there, far: back}
    inputs = [near, far, sys.stdin.fileno()]
    while True:
        now_ns = time.monotonic_ns()
        for way in ways.values():
            way.give(now_ns)
        due = [way.due_ns for way in ways.values() if way.due_ns is not None]
        timeout_s = max(0, min(due) - time.monotonic_ns()) / 1e9 if due else None
        readable, _, _ = select.select(inputs, (), (), timeout_s)  # epoll's timeout is in whole milliseconds
        for fd in readable:
            if fd in ways:
                _read_all(fd, ways[fd])
            elif told := sys.stdin.readline().strip():
                there.cut = back.cut = told == "cut"
                print(told, flush=True)
            else:
                return there.counters, back.counters


def _read_all(fd: int, way: _Way) -> None:
    for _ in range(_READS_AT_ONCE):
        try:
            packet = os.read(fd, 65536)
        except BlockingIOError:
            return
        way.take(packet, time.monotonic_ns())


def _open_tun(namespace: str) -> int:
    """A TUN device ``link0`` in a namespace; this process has moved there."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd = os.open(_NAMESPACES / namespace, os.O_RDONLY)
    if libc.setns(fd, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), f"cannot enter the namespace {namespace}")
    os.close(fd)
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, _TUNSETIFF, struct.pack("16sH22x", b"link0", _IFF_TUN | _IFF_NO_PI))
    return tun


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, timeout=10)


def _main() -> None:
    job = json.loads(sys.argv[1])
    near, far = (_open_tun(namespace) for namespace in job.pop("ends"))
    print("ready", flush=True)
    print(json.dumps([asdict(each) for each in _carry(near, far, LinkConditions(**job))]))


if __name__ == "__main__":
    _main()
