"""TLS on a connection that was accepted already, with its first bytes read (RFC 8446), and what is spoken in it.

Belongs here: the handshake, between a transport and the protocol that ALPN chose (RFC 7301). Does not: HTTP
itself (http1, h2), certificates (vms.common.tls).
"""

import asyncio
import ssl
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, cast

from vms.stream.http.h2 import Http2Connection
from vms.stream.http.http1 import HttpServer

HANDSHAKE_S = 10.0
RECORD_BYTES = 64 << 10

ProtocolFor = Callable[[str | None], asyncio.Protocol]
"""The protocol for what ALPN chose: ``h2``, ``http/1.1``, or None."""


class TlsConnection(asyncio.Protocol):
    """Speaks TLS as a server to the transport it is given, and plain bytes to an inner protocol."""

    def __init__(self, context: ssl.SSLContext, protocol_for: ProtocolFor) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._protocol_for = protocol_for
        self._transport: asyncio.Transport | None = None
        self._inner: asyncio.Protocol | None = None
        self._plain: _PlainTransport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._timer = asyncio.get_running_loop().call_later(HANDSHAKE_S, self.abort)

    def data_received(self, data: bytes) -> None:
        self._incoming.write(data)
        self._advance()

    def eof_received(self) -> bool:
        if self._inner is not None:
            self._inner.eof_received()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        inner, self._inner = self._inner, None
        if inner is not None:
            inner.connection_lost(exc)

    def pause_writing(self) -> None:
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._inner is not None:
            self._inner.resume_writing()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # for the inner transport

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send. The memory BIO takes everything, so nothing is left over."""
        if self._transport is None or self._transport.is_closing():
            return
        with memoryview(data) as view:
            for at in range(0, len(view), RECORD_BYTES):
                self._tls.write(view[at : at + RECORD_BYTES])
        self._flush()

    def close(self) -> None:
        """Say that this is the end (close_notify), and close."""
        if self._transport is None or self._transport.is_closing():
            return
        with suppress(ssl.SSLError):  # it wants the client's close_notify, for which nobody waits
            self._tls.unwrap()
        self._flush()
        self._transport.close()

    def use(self, protocol: asyncio.Protocol) -> None:
        self._inner = protocol

    @property
    def inner(self) -> asyncio.Protocol | None:
        return self._inner

    def read_on(self) -> None:
        """Hand on what was decrypted while reading was paused."""
        self._advance()

    def _advance(self) -> None:
        try:
            if self._inner is None and not self._shake_hands():
                return
            self._read()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            self._flush()  # the alert that says why
            if self._transport is not None:
                self._transport.close()
            return
        self._flush()

    def _shake_hands(self) -> bool:
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        self._tls.do_handshake()
        self._stop_timer()
        self._flush()
        self._inner = self._protocol_for(self._tls.selected_alpn_protocol())
        self._plain = _PlainTransport(self, transport)
        self._inner.connection_made(self._plain)
        return True

    def _read(self) -> None:
        plain, transport = self._plain, self._transport
        while (
            plain is not None and plain.is_reading() and transport is not None and not transport.is_closing()
        ):
            data = self._tls.read(RECORD_BYTES)
            if not data:  # close_notify
                self.close()
                return
            if self._inner is not None:
                self._inner.data_received(data)

    def _flush(self) -> None:
        if self._outgoing.pending and self._transport is not None:
            data = self._outgoing.read()
            if not self._transport.is_closing():
                self._transport.write(data)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _PlainTransport(asyncio.Transport):
    """What the inner protocol writes to: plain bytes in, records out."""

    def __init__(self, connection: TlsConnection, below: asyncio.Transport) -> None:
        super().__init__()
        self._connection = connection
        self._below = below
        self._reading = True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._below.get_extra_info(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._connection.write(data)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        for data in list_of_data:
            self._connection.write(data)

    def is_closing(self) -> bool:
        return self._below.is_closing()

    def close(self) -> None:
        self._connection.close()

    def abort(self) -> None:
        self._below.abort()

    def is_reading(self) -> bool:
        return self._reading

    def pause_reading(self) -> None:
        self._reading = False
        self._below.pause_reading()

    def resume_reading(self) -> None:
        if self._reading:
            return
        self._reading = True
        if not self._below.is_closing():
            self._below.resume_reading()
            asyncio.get_running_loop().call_soon(self._connection.read_on)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._below.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        return self._below.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._below.get_write_buffer_limits()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._connection.use(cast(asyncio.Protocol, protocol))

    def get_protocol(self) -> asyncio.BaseProtocol:
        inner = self._connection.inner
        return inner if inner is not None else self._connection


def tls_connections(context: ssl.SSLContext, server: HttpServer) -> Callable[[], asyncio.Protocol]:
    """For `TcpFront.tls`: HTTP of the version that the client chooses, over TLS."""

    def protocol_for(chosen: str | None) -> asyncio.Protocol:
        return Http2Connection(server) if chosen == "h2" else server.connection(secure=True)

    return lambda: TlsConnection(context, protocol_for)
