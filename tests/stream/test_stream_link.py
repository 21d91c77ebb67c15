"""The emulated network that latency and loss are measured over: what it delays, drops and leaves behind."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest
from bench._link import Link, LinkConditions, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

PACKETS = 1_000
ECHO = """
import socket, sys
echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
echo.setsockopt(socket.SOL_SOCKET, 33, 4 << 20)  # SO_RCVBUFFORCE: what waits for a busy machine is not lost
echo.bind((sys.argv[1], 9000))
print("ready", flush=True)
while True:
    packet, sender = echo.recvfrom(2048)
    echo.sendto(packet, sender)
"""
# Numbered packets there and back, so many ms apart; prints [number, round trip in ms] as they come back.
PROBE = """
import json, select, socket, sys, time
probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
probe.setsockopt(socket.SOL_SOCKET, 33, 4 << 20)
probe.connect((sys.argv[1], 9000))
sent, seen = {}, []
def take(until_s):
    while (left_s := until_s - time.monotonic()) > 0 or until_s == 0:
        if not select.select([probe], (), (), max(0, left_s))[0]:
            return
        number = int(probe.recv(2048).split()[0])
        seen.append([number, (time.monotonic() - sent[number]) * 1000])
for number in range(int(sys.argv[2])):
    sent[number] = time.monotonic()
    probe.send(str(number).encode().ljust(200))
    take(time.monotonic() + float(sys.argv[3]) / 1000)
take(time.monotonic() + 1)
print(json.dumps(seen))
"""


@contextlib.contextmanager
def echoing(link: Link) -> Iterator[None]:
    command = link.near.command(sys.executable, "-c", ECHO, link.near.address)
    echo = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert echo.stdout is not None
        assert echo.stdout.readline() == "ready\n"
        yield
    finally:
        echo.kill()
        echo.communicate()


def probe(link: Link, packets: int = PACKETS, *, apart_ms: float = 1) -> list[tuple[int, float]]:
    """Number and round trip in ms of every packet that came back, in the order in which they came."""
    command = link.far.command(sys.executable, "-c", PROBE, link.near.address, str(packets), str(apart_ms))
    run = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    return [(int(number), float(ms)) for number, ms in json.loads(run.stdout)]


def test_packets_take_the_round_trip_and_the_jitter_and_keep_their_order() -> None:
    with Link(LinkConditions(rtt_ms=40, jitter_ms=5)) as link, echoing(link):
        came = probe(link, 300)
    times_ms = [ms for _, ms in came]
    assert [number for number, _ in came] == list(range(300))
    assert 30 <= min(times_ms) <= 60, "the best of them, which no busy machine held up"
    assert median(times_ms) >= 38
    assert max(times_ms) - min(times_ms) > 4


def test_packets_are_lost_at_random_each_way_and_the_same_ones_from_the_same_seed() -> None:
    with Link(LinkConditions(loss=0.05, seed=7)) as link, echoing(link):
        came = probe(link)
    there, back = link.counters
    assert there.lost + back.lost >= PACKETS - len(came) > 0
    assert 0.05 < 1 - len(came) / PACKETS < 0.16  # 9.75% are expected
    with Link(LinkConditions(loss=0.05, seed=7)) as link, echoing(link):
        again = probe(link, 50)
    assert [number for number, _ in again] == [number for number, _ in came if number < 50]


def test_a_link_that_is_full_drops_and_counts_and_its_rate_holds() -> None:
    with Link(LinkConditions(rate_bps=400_000)) as link, echoing(link):
        came = probe(link, 400, apart_ms=0)  # 200 bytes and 28 of headers: nearly two seconds at this rate
    # What comes in the second for which they are waited for
    assert 150 < len(came) <= 400
    assert came[-1][1] > 100  # waited behind the others


def test_namespaces_and_processes_end_with_the_link_also_when_its_user_fails() -> None:
    with pytest.raises(RuntimeError, match="user"), Link() as link:
        names = [link.near.namespace, link.far.namespace]
        assert all(Path("/var/run/netns", name).exists() for name in names)
        raise RuntimeError("the user's")
    assert not any(Path("/var/run/netns", name).exists() for name in names)
