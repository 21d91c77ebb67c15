"""HTTP/3 that a stranger cannot make costly: no table that headers refer to, and short headers only.

With QPACK's dynamic table an entry of 4 KB is referred to by one byte, and aioquic does not limit what headers become
(RFC 9204 §7.3): 50 KB made 200 MB and held the loop up for seconds.

Belongs here: what aioquic's HTTP/3 lacks. It has no public names for it, so this overrides what is private;
`tests/stream/test_stream_webtransport_hostile.py` fails when that changes. Does not: sessions, bounds of a connection
(connection).
"""

import pylsqpack
from aioquic.h3.connection import ErrorCode, H3Connection, ProtocolError
from aioquic.h3.events import Headers
from aioquic.quic.connection import QuicConnection

MAX_HEADERS_BYTES = 8 << 10
"""As they come: a request with a token has less than 1 KiB."""


class HeadersTooLong(ProtocolError):
    """Ends the connection."""

    error_code = ErrorCode.H3_EXCESSIVE_LOAD


class Http3(H3Connection):
    """Serves WebTransport."""

    def __init__(self, quic: QuicConnection) -> None:
        super().__init__(quic, enable_webtransport=True)

    def _init_connection(self) -> None:
        self._max_table_capacity = self._blocked_streams = (
            0  # told the peer, who then has to use the static table
        )
        self._decoder = pylsqpack.Decoder(0, 0)
        super()._init_connection()

    def _decode_headers(self, stream_id: int, frame_data: bytes | None) -> Headers:
        if frame_data is not None and len(frame_data) > MAX_HEADERS_BYTES:
            raise HeadersTooLong
        return super()._decode_headers(stream_id, frame_data)
