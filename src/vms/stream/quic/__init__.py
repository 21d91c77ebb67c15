"""Live view over WebTransport (HTTP/3, QUIC): one picture a stream, newest first. Experimental."""
