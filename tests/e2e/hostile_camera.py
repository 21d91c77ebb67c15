"""RTSP servers that misbehave, each in its own way, on ports of their own: a program for tests to start."""

import asyncio
import os
import struct
from collections.abc import Callable

DESCRIPTION = (
    b"v=0\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:track1\r\n"
    b"a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z0LAHtkDxWhAAAADAEAAAAwDxYuS,aMuMsg==\r\n"
)
SLICE = b"\x41\x9a" + b"\x24" * 100
KINDS = (
    "silent",
    "closer",
    "garbage",
    "endless-head",
    "huge-body",
    "ends-at-play",
    "no-key-picture",
    "random-rtp",
)


async def main() -> None:
    """Serve every kind until terminated; says ``KIND URL`` of each, and ``tried KIND`` with each connection."""
    for kind in KINDS:
        server = await asyncio.start_server(lambda r, w, kind=kind: _serve(kind, r, w), "127.0.0.1", 0)
        print(kind, f"rtsp://127.0.0.1:{server.sockets[0].getsockname()[1]}/stream", flush=True)
    await asyncio.Event().wait()


async def _serve(kind: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    print("tried", kind, flush=True)
    try:
        if kind == "silent":
            await asyncio.sleep(3600)
        while kind != "closer":
            request = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            cseq = next(line for line in request if line.startswith("CSeq"))
            await _answer(kind, request[0].split()[0], cseq, writer)
    except (ConnectionError, asyncio.IncompleteReadError):
        pass  # the system had enough
    finally:
        writer.close()


async def _answer(kind: str, method: str, cseq: str, writer: asyncio.StreamWriter) -> None:
    if kind == "garbage":
        await _pour(writer, b"", lambda: os.urandom(8192))
    if kind == "endless-head":
        await _pour(writer, b"RTSP/1.0 200 OK\r\n", lambda: b"X-Y: " + b"z" * 1000 + b"\r\n")
    if kind == "huge-body":
        head = f"RTSP/1.0 200 OK\r\n{cseq}\r\nContent-Length: 999999999\r\n\r\n"
        await _pour(writer, head.encode(), lambda: bytes(8192))
    extra, body = "", b""
    if method == "DESCRIBE":
        extra, body = (
            f"Content-Type: application/sdp\r\nContent-Length: {len(DESCRIPTION)}\r\n",
            DESCRIPTION,
        )
    if method == "SETUP":
        extra = "Session: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
    writer.write(f"RTSP/1.0 200 OK\r\n{cseq}\r\n{extra}\r\n".encode() + body)
    await writer.drain()
    if method == "PLAY":
        if kind == "ends-at-play":
            raise ConnectionResetError
        await _media(writer, lambda: SLICE if kind == "no-key-picture" else os.urandom(200))


async def _pour(writer: asyncio.StreamWriter, head: bytes, more: Callable[[], bytes]) -> None:
    writer.write(head)
    while True:
        writer.write(more())
        await writer.drain()


async def _media(writer: asyncio.StreamWriter, payload: Callable[[], bytes]) -> None:
    for number in range(1 << 16):
        packet = struct.pack("!BBHII", 0x80, 0xE0, number, number * 3600, 7) + payload()
        writer.write(b"$\x00" + len(packet).to_bytes(2) + packet)
        await writer.drain()
        await asyncio.sleep(0.02)


if __name__ == "__main__":
    asyncio.run(main())
