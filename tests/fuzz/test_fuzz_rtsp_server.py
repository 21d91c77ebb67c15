"""Whatever a client sends, the RTSP server goes on serving the others, in bounded memory."""

import asyncio
import random
import time
from typing import Any

from tests.wire.raw_rtsp import RawRtsp
from tests.wire.scripted_feed import ScriptedFeed

from vms.common.clock import SystemClock
from vms.wire.rtsp.message import MAX_BODY_SIZE, MAX_HEAD_SIZE
from vms.wire.rtsp.server import RtspServer, ServerOptions, Stream

SECONDS = 3.0
CONVERSATION = [
    b"OPTIONS rtsp://h/camera-1 RTSP/1.0\r\nCSeq: 1\r\n\r\n",
    b"DESCRIBE rtsp://h/camera-1 RTSP/1.0\r\nCSeq: 2\r\nAccept: application/sdp\r\n\r\n",
    b"SETUP rtsp://h/camera-1/trackID=1 RTSP/1.0\r\nCSeq: 3\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n\r\n",
    b"SETUP rtsp://h/camera-1/trackID=2 RTSP/1.0\r\nCSeq: 4\r\nTransport: RTP/AVP;client_port=40000-40001\r\n\r\n",
    b"PLAY rtsp://h/camera-1 RTSP/1.0\r\nCSeq: 5\r\nSession: 0123456789abcdef\r\nRange: npt=0-\r\n\r\n",
    b"GET_PARAMETER * RTSP/1.0\r\nCSeq: 6\r\nContent-Length: 4\r\n\r\nping",
    b"$\x01\x00\x08\x80\xc9\x00\x01\x00\x00\x00\x01",
    b'PAUSE rtsp://h/camera-1 RTSP/1.0\r\nCSeq: 7\r\nAuthorization: Digest username="u", nonce="x"\r\n\r\n',
    b"TEARDOWN rtsp://h/camera-1 RTSP/1.0\r\nCSeq: 8\r\nRequire: x\r\n\r\n",
]
SPLICES = [
    b"\r\n",
    b"\r\n\r\n",
    b"$",
    b"\0",
    b"\xff" * 9,
    b";",
    b",",
    b"=",
    b"-1",
    b"99999999999",
    b"rtsp://[",
    b"%",
]


def mutated(rng: random.Random) -> bytes:
    """A conversation with pieces left out, doubled, cut, spliced and flipped."""
    data = bytearray(b"".join(rng.choices(CONVERSATION, k=rng.randint(1, 8))))
    for _ in range(rng.randint(0, 12)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(4):
            case 0:
                data[at:at] = rng.choice(SPLICES)
            case 1:
                del data[at : at + rng.randint(1, 20)]
            case 2 if at < len(data):
                data[at] = rng.randrange(256)
            case _:
                data[at:at] = data[at : at + rng.randint(1, 200)]
    return bytes(data)


async def test_broken_conversations_break_nothing_but_themselves() -> None:
    seed = time.time_ns()
    rng = random.Random(seed)
    problems: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
    feed = ScriptedFeed()
    server = RtspServer({"/camera-1": Stream(feed, SystemClock())}, options=ServerOptions())
    await server.start()
    watcher = await RawRtsp.connect(server.port)
    await watcher.set_up()
    await watcher.ask("PLAY")
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and not problems:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        for piece in range(3):
            writer.write(mutated(rng))
            if piece < 2:
                await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        feed.push(b"still here", key=True)
        writer.transport.abort()
        assert (await watcher.frames_of(0, 1))[0].payload == b"still here", f"seed {seed}"
    assert not problems, f"seed {seed}: {problems}"
    await watcher.close()
    await server.stop()


async def test_a_message_that_never_ends_is_cut_off() -> None:
    server = RtspServer({}, options=ServerOptions())
    await server.start()
    for endless in (
        b"OPTIONS * RTSP/1.0\r\nX: " + b"y" * (2 * MAX_HEAD_SIZE),
        f"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nContent-Length: {MAX_BODY_SIZE + 1}\r\n\r\n".encode(),
    ):
        client = await RawRtsp.connect(server.port)
        client.writer.write(endless)
        assert (await client.response()).status == 400
        await client.close()
    await server.stop()
