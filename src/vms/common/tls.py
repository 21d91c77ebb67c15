"""A server's TLS: the context made of the installation's certificate (RFC 8446).

Belongs here: files into a context. Does not: connections (vms.stream.http.tls, uvicorn).
"""

import ssl
from collections.abc import Sequence
from pathlib import Path

from vms.common.errors import Unavailable

HTTP_VERSIONS = ("h2", "http/1.1")


def server_context(certificate: Path, key: Path, alpn: Sequence[str] = HTTP_VERSIONS) -> ssl.SSLContext:
    """A context that serves `alpn`, best first, with the certificate chain and key of these PEM files.

    Raises Unavailable: a file cannot be read, or the two do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(list(alpn))
    try:
        context.load_cert_chain(certificate, key, password=_no_passphrase)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        reason = getattr(error, "strerror", None) or getattr(error, "reason", None) or error
        raise Unavailable(
            f"the certificate {certificate} and the key {key} cannot be used ({reason}); "
            "http.tls needs a PEM certificate chain and the PEM key that belongs to it, without a passphrase"
        ) from error
    return context


def _no_passphrase() -> str:
    """OpenSSL would ask on the terminal."""
    raise ValueError("the key has a passphrase")
