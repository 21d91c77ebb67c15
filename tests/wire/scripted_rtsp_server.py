"""An RTSP server that answers as a test tells it to: one misbehaviour at a time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from vms.wire.rtsp.message import Headers, Request, Response, take_message

SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\na=control:*\r\n"
    "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:trackID=1\r\n"
    "m=audio 0 RTP/AVP 8\r\na=control:trackID=2\r\n"
)

Answer = Callable[[Request], Response | bytes | None]


@dataclass
class ScriptedServer:
    """answers: by method, in place of the usual ones; one that gives None leaves the request unanswered.

    requests: all that came. responses: to what the test sent. port: where it listens on 127.0.0.1.
    """

    answers: dict[str, Answer] = field(default_factory=dict)
    sdp: str = SDP
    session: str = "abc;timeout=60"
    requests: list[Request] = field(default_factory=list)
    responses: list[Response] = field(default_factory=list)
    received: bytes = b""
    connections: int = 0
    port: int = 0
    writer: asyncio.StreamWriter | None = None

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/stream"

    @property
    def methods(self) -> list[str]:
        return [request.method for request in self.requests]

    @asynccontextmanager
    async def run(self) -> AsyncIterator["ScriptedServer"]:
        tasks: set[asyncio.Task[None]] = set()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(self._serve(reader, writer))
            tasks.add(task)

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def send(self, data: bytes) -> None:
        assert self.writer is not None
        self.writer.write(data)

    def hang_up(self) -> None:
        assert self.writer is not None
        self.writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writer = writer
        buffer = b""
        try:
            while data := await reader.read(65536):
                buffer += data
                while buffer:
                    if buffer[:1] == b"$":
                        size = 4 + int.from_bytes(buffer[2:4])
                        if len(buffer) < size:
                            break
                        self.received += buffer[:size]
                        buffer = buffer[size:]
                        continue
                    found = take_message(buffer)
                    if found is None:
                        break
                    buffer = buffer[found[1] :]
                    if isinstance(found[0], Request):
                        self._answer(found[0], writer)
                    else:
                        self.responses.append(found[0])
        finally:
            writer.close()

    def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        self.requests.append(request)
        answer = self.answers.get(request.method, self.usual)(request)
        if isinstance(answer, Response):
            if "CSeq" not in answer.headers:
                answer.headers.add("CSeq", request.headers["CSeq"])
            answer = answer.pack()
        if answer is not None:
            writer.write(answer)

    def usual(self, request: Request) -> Response:
        headers = Headers()
        body = b""
        match request.method:
            case "OPTIONS":
                headers.add("Public", "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER")
            case "DESCRIBE":
                headers.add("Content-Type", "application/sdp")
                body = self.sdp.encode()
            case "SETUP":
                headers.add("Transport", request.headers["Transport"])
                headers.add("Session", self.session)
            case _:
                headers.add("Session", self.session)
        return Response(200, headers=headers, body=body)
