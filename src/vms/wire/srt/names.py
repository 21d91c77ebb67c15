"""Names of hosts, which calls need as addresses."""

import asyncio
import socket

from vms.wire.errors import PeerUnreachable

RESOLVE_S = 5.0


async def resolved(host: str, port: int) -> str:
    """An IP address of `host`. Raises PeerUnreachable, after RESOLVE_S at the latest."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(RESOLVE_S):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except TimeoutError:
        raise PeerUnreachable(f"{host}: its name has no address within {RESOLVE_S:g} s") from None
    except (OSError, UnicodeError) as error:
        raise PeerUnreachable(f"{host}: its name has no address") from error
    return str(found[0][4][0])
