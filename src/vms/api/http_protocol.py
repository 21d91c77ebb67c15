"""HTTP/1.1 connections that an attacker cannot hold open or fill: limits that uvicorn itself does not have.

Belongs here: how many connections, bytes and time of a request's head, time that a client may stop reading.
Does not: bodies (body_limit), anything that knows routes.
"""

import asyncio
import resource

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from vms.api.problems import problem_response

CONNECTIONS_MAX = 2048
HEAD_MAX_BYTES = 64 << 10
HEAD_TIMEOUT_S = 20.0
STALL_TIMEOUT_S = 60.0


def connections_max() -> int:
    """At most a quarter of the files that the process may have open: cameras and recordings need the rest."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return CONNECTIONS_MAX if files == resource.RLIM_INFINITY else min(CONNECTIONS_MAX, files // 4)


class BoundedHttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol; a head too large or too slow, or a client that takes nothing, ends the connection.
    One connection too many is told so and closed, whether or not it would ever have asked for anything.

    A head may have `HEAD_MAX_BYTES` and take `HEAD_TIMEOUT_S`; written bytes may wait `STALL_TIMEOUT_S`.
    """

    head_timeout_s = HEAD_TIMEOUT_S
    stall_timeout_s = STALL_TIMEOUT_S

    _heads = 0
    _head_bytes = 0
    _in_head = True
    _head_timer: asyncio.TimerHandle | None = None
    _stall_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > connections_max():
            self._refuse(503, "there are too many connections; try again in a moment")
        else:
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        self._stop_stall_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head and self._head_timer is None:
            self._expect_head()
        in_head, heads = self._in_head, self._heads
        super().data_received(data)
        if in_head and self._in_head and self._heads == heads:  # else it was, or ended, a body
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_MAX_BYTES and not self.transport.is_closing():
                self._refuse(431, f"the request's head is larger than {HEAD_MAX_BYTES} bytes")

    def send_400_response(self, msg: str) -> None:
        """What uvicorn answers to bytes that are no HTTP; here as a problem too."""
        self._refuse(400, msg)

    def on_headers_complete(self) -> None:
        self._heads += 1
        self._head_bytes = 0
        self._in_head = False
        self._stop_head_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_head = True

    def pause_writing(self) -> None:
        if self._stall_timer is None:
            self._stall_timer = self.loop.call_later(self.stall_timeout_s, self.transport.abort)
        super().pause_writing()

    def resume_writing(self) -> None:
        self._stop_stall_timer()
        super().resume_writing()

    def _refuse(self, status: int, detail: str) -> None:
        response = problem_response(status, detail, "about:blank", headers={"Connection": "close"})
        head = b"".join(b"%s: %s\r\n" % header for header in response.raw_headers)
        self.transport.write(STATUS_LINE[status] + head + b"\r\n" + bytes(response.body))
        self.transport.close()

    def _expect_head(self) -> None:
        self._head_timer = self.loop.call_later(self.head_timeout_s, self.transport.abort)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_stall_timer(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None
