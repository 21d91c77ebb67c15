"""The socket that HTTP is served on. It may be made by one process and served by others.

Belongs here: the address. Does not: serving (service); nothing of the framework is imported here.
"""

import socket

from vms.common.errors import Unavailable


class AddressUnavailable(Unavailable):
    """The address to listen on cannot be had."""


def url_of(host: str, port: int, scheme: str = "http") -> str:
    """Where a browser on this machine finds what listens on `host`."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        host = "127.0.0.1"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens for HTTP. Raises AddressUnavailable."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise AddressUnavailable(
            f"http.host {host}: {error.strerror}; name an address of this machine"
        ) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(512)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise AddressUnavailable(
            f"cannot listen on {host} port {port}: {error.strerror}; another program may use it: "
            "choose another http.port, or 0 for any free one"
        ) from error
    return listener
