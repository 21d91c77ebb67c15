"""Requests between processes of one machine over a Unix socket: what must work when NATS does not.

A server offers methods by name; a client calls them, many at once over one connection that it opens on demand.
Nothing is sent twice: whether a call that ended in BusUnavailable was carried out is not known.

Belongs here: connections, their bounds, the life of a call. Does not: framing (frames), the methods (the services).
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from vms.bus.errors import BusUnavailable
from vms.bus.frames import BadFrame, encode, read_frame
from vms.bus.replies import answer, result_of
from vms.common import unix_socket
from vms.common.errors import InvalidInput, NotFound, Unavailable
from vms.proto import bus_pb2
from vms.telemetry.logs import get_logger

log = get_logger(__name__)

MAX_CONNECTIONS = 256
MAX_CALLS_PER_CONNECTION = 64  # more wait in the socket
_SLOWEST_READER_S = 10.0  # a caller that does not take its answer for so long is cut off
_LAST_WORDS_S = 1.0  # for answers on their way when the server stops

Method = Callable[[bytes], Awaitable[bytes]]


class LocalServer:
    """Offers `methods` at the socket `path` to processes of this user. Counters: refused, cut_off."""

    def __init__(self, path: Path, methods: Mapping[str, Method], *, drain_s: float = 5.0) -> None:
        """drain_s: how long calls in progress may take when the server stops."""
        self._path = path
        self._methods = methods
        self._drain_s = drain_s
        self._server: asyncio.Server | None = None
        self._file: tuple[int, int] = (0, 0)
        self._connections: dict[_ServerConnection, asyncio.Task[None] | None] = {}
        self.refused = 0  # connections beyond the bound
        self.cut_off = 0  # connections that broke the framing or did not read

    async def start(self) -> None:
        """Listen; what a dead process left at the path is replaced. Raises Unavailable."""
        try:
            listener = unix_socket.listen(self._path)
            self._file = _identity(self._path)
        except OSError as error:
            raise Unavailable(
                f"control socket {self._path}: {error.strerror}; check its directory"
            ) from error
        self._server = await asyncio.start_unix_server(self._serve, sock=listener)

    async def stop(self) -> None:
        """Take no more calls, let those in progress end for `drain_s`, then leave. Not to be awaited by a method."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        with contextlib.suppress(OSError):
            if _identity(self._path) == self._file:  # a successor may listen there already
                self._path.unlink()
        serving = [task for task in self._connections.values() if task is not None]
        await asyncio.gather(*(connection.drain(self._drain_s) for connection in list(self._connections)))
        if serving:
            await asyncio.wait(serving)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._server is None or len(self._connections) >= MAX_CONNECTIONS:
            self.refused += 1
            writer.close()
            return
        connection = _ServerConnection(reader, writer, self._methods)
        self._connections[connection] = asyncio.current_task()
        try:
            await connection.run()
        except (BadFrame, TimeoutError) as error:
            self.cut_off += 1
            log.warning("a control connection is cut off", socket=self._path.name, reason=str(error))
        except OSError:
            pass  # the caller is gone
        except Exception as error:
            log.error("a control connection failed", socket=self._path.name, exc_info=error)
        finally:
            del self._connections[connection]


class _ServerConnection:
    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, methods: Mapping[str, Method]
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._methods = methods
        self._calls: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(MAX_CALLS_PER_CONNECTION)
        self._reading: asyncio.Task[None] | None = None
        self._failure: Exception | None = None

    async def run(self) -> None:
        """Until the caller leaves or breaks the rules, which is raised; calls in progress end by themselves."""
        self._reading = asyncio.create_task(self._read_calls())
        try:
            await asyncio.wait([self._reading])
            if not self._reading.cancelled():
                self._reading.result()
            if self._calls:
                await asyncio.wait(set(self._calls))
            if self._failure is not None:
                self._writer.transport.abort()  # closing would wait for a peer that does not read
                raise self._failure
        finally:
            self._reading.cancel()
            self._writer.close()

    async def drain(self, within_s: float) -> None:
        if self._reading is not None:
            self._reading.cancel()
        if self._calls:
            _, late = await asyncio.wait(set(self._calls), timeout=within_s)
            for call in late:
                call.cancel()
        self._writer.close()
        try:
            async with asyncio.timeout(_LAST_WORDS_S):
                await self._writer.wait_closed()
        except OSError:
            self._writer.transport.abort()

    async def _read_calls(self) -> None:
        while True:
            await self._room.acquire()
            frame = await read_frame(self._reader)
            if frame is None:
                return
            if frame.WhichOneof("body") != "call":
                raise BadFrame("a frame that is no call")
            call = asyncio.create_task(self._carry_out(frame.id, frame.call))
            self._calls.add(call)
            call.add_done_callback(self._ended)

    def _ended(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        self._room.release()
        if not call.cancelled() and (failure := call.exception()) is not None:
            # Without its answer the caller would wait for nothing
            self._failure = failure if isinstance(failure, Exception) else None
            if self._reading is not None:
                self._reading.cancel()

    async def _carry_out(self, call_id: int, call: bus_pb2.LocalFrame.Call) -> None:
        method = self._methods.get(call.method) or _unknown(call.method)
        reply = await answer(method, call.argument)
        try:
            data = encode(bus_pb2.LocalFrame(id=call_id, reply=reply))
        except BadFrame as error:
            reply = await answer(_raising(error), b"")
            data = encode(bus_pb2.LocalFrame(id=call_id, reply=reply))
        self._writer.write(data)
        async with asyncio.timeout(_SLOWEST_READER_S):
            await self._writer.drain()


class LocalClient:
    """Calls the methods of the LocalServer at `path`. For one event loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: _ClientConnection | None = None
        self._opening = asyncio.Lock()

    async def call(self, method: str, argument: bytes = b"", *, timeout_s: float = 5.0) -> bytes:
        """The method's result.

        Raises BusUnavailable when nobody listens or answers in time, InvalidInput for an argument that is too
        large, and what the peer raised as its subclass in vms.bus.errors.
        """
        try:
            async with asyncio.timeout(timeout_s):
                reply = await (await self._connected()).call(method, argument)
        except TimeoutError:
            raise BusUnavailable(
                f"{self._path.name}: no answer to {method!r} in {timeout_s:g} s; try again"
            ) from None
        except OSError as error:
            raise BusUnavailable(
                f"{self._path.name}: {error.strerror or error}; is the process behind it running?"
            ) from error
        return result_of(reply)

    def close(self) -> None:
        """Leave; calls in progress end in BusUnavailable. A later call connects anew."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _connected(self) -> "_ClientConnection":
        async with self._opening:
            if self._connection is None or self._connection.closed:
                opened = unix_socket.connect(self._path)
                reader, writer = await asyncio.open_unix_connection(sock=opened)
                self._connection = _ClientConnection(reader, writer)
            return self._connection


class _ClientConnection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._next_id = 0
        self._waiting: dict[int, asyncio.Future[bus_pb2.Reply]] = {}
        self._reading = asyncio.create_task(self._read_replies())
        self.closed = False

    async def call(self, method: str, argument: bytes) -> bus_pb2.Reply:
        self._next_id += 1
        call_id = self._next_id
        data = encode(
            bus_pb2.LocalFrame(id=call_id, call=bus_pb2.LocalFrame.Call(method=method, argument=argument))
        )
        reply: asyncio.Future[bus_pb2.Reply] = asyncio.get_running_loop().create_future()
        self._waiting[call_id] = reply
        try:
            self._writer.write(data)
            await self._writer.drain()
            return await reply
        finally:
            del self._waiting[call_id]
            if not reply.cancel():
                reply.exception()  # seen, also when writing failed first

    def close(self) -> None:
        self._reading.cancel()
        self._end()

    async def _read_replies(self) -> None:
        try:
            while (frame := await read_frame(self._reader)) is not None:
                waiting = self._waiting.get(frame.id)
                if waiting is not None and not waiting.done() and frame.WhichOneof("body") == "reply":
                    waiting.set_result(frame.reply)
        except (OSError, InvalidInput) as error:
            log.warning("a control connection is given up", reason=str(error))
        finally:
            self._end()

    def _end(self) -> None:
        self.closed = True
        self._writer.close()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(ConnectionResetError("the connection ended before the answer"))


def _unknown(name: str) -> Method:
    return _raising(NotFound(f"no method {name[:100]!r} here; are both processes of one version?"))


def _raising(error: Exception) -> Method:
    async def method(_: bytes) -> bytes:
        raise error

    return method


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino
