"""The sockets that the outside reaches the system at over TCP; bound once, whoever serves them.

Belongs here: binding, and which failures stop a start. Does not: serving (vms.api, vms.relay).
"""

import socket
from collections.abc import Callable

from vms.api.listener import listen as listen_http
from vms.common.errors import Unavailable
from vms.common.tls import server_context
from vms.config import Config
from vms.telemetry.logs import get_logger

log = get_logger(__name__)


def check_certificate(config: Config) -> None:
    """Before anything is begun. Raises Unavailable when the certificate of http.tls cannot be used."""
    tls = config.http.tls
    if tls is not None:
        server_context(tls.certificate, tls.key)


def bind_http(config: Config) -> socket.socket:
    """Raises AddressUnavailable."""
    return listen_http(config.http.host, config.http.port)


Listen = Callable[[str, int], socket.socket]


def bind_rtsp(
    config: Config, through: Callable[[Listen], socket.socket] | None = None
) -> socket.socket | None:
    """The socket for RTSP players; None when they are not served.

    through: gets one that was kept, or calls what it is given to make one.
    A port that is taken refuses the start only when the configuration names it: nobody who never heard
    of RTSP here should be without recordings for it. Raises Unavailable.
    """
    if not config.rtsp.enabled:
        return None
    host, port = config.rtsp_host, config.rtsp.port
    try:
        return through(_listen) if through is not None else _listen(host, port)
    except OSError as error:
        text = f"cannot listen for RTSP players on {host} port {port}: {error.strerror}"
        if "port" in config.rtsp.model_fields_set or "host" in config.rtsp.model_fields_set:
            raise Unavailable(f"{text}; choose another rtsp.port, or 0 for any free one") from error
        log.warning(f"{text}; they are not served; set rtsp.port to another one, or rtsp.enabled to false")
        return None


def _listen(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(512)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener
