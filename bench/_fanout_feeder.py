"""The source of pictures for servers that take RTP: a process of its own, which is not counted.

Belongs here: sending RTP over UDP. Does not: pictures and their pace (_fanout_pictures).
"""

import random
import socket
from multiprocessing.connection import Connection

import uvloop

from bench._fanout_pictures import CLOCK_RATE, TICKS, pace_until, picture
from vms.wire import rtp
from vms.wire.payload import h264
from vms.wire.webrtc.frame import MAX_PAYLOAD_BYTES

PAYLOAD_TYPE = 96


def run_feeder(pipe: Connection, port: int, frame_bytes: int) -> None:
    """Send pictures as RTP to a server until told to stop; then say when each was sent."""
    uvloop.run(_feed(pipe, port, frame_bytes))


async def _feed(pipe: Connection, port: int, frame_bytes: int) -> None:
    # Not connected, so that a server which does not listen yet is no error.
    to_server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ssrc, sequence_number = random.getrandbits(32), random.getrandbits(15)

    def push(number: int) -> None:
        nonlocal sequence_number
        payloads = h264.packetize(picture(frame_bytes, number)[0], MAX_PAYLOAD_BYTES)
        timestamp = (CLOCK_RATE + number * TICKS) & 0xFFFFFFFF
        for left, payload in zip(reversed(range(len(payloads))), payloads, strict=True):
            header = rtp.pack_header(PAYLOAD_TYPE, sequence_number, timestamp, ssrc, marker=not left)
            to_server.sendto(header + payload, ("127.0.0.1", port))
            sequence_number = sequence_number + 1 & 0xFFFF

    await pace_until(pipe, push)


def free_port(kind: socket.SocketKind = socket.SOCK_DGRAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
