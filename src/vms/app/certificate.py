"""The server's certificate while it serves: a renewed one is used without a restart.

Belongs here: noticing that the files changed. Does not: contexts (vms.common.tls), who serves with them.
"""

import asyncio
import ssl
from pathlib import Path

from vms.common.errors import Unavailable
from vms.common.tls import server_context
from vms.config import TlsConfig
from vms.telemetry.logs import get_logger

log = get_logger(__name__)

LOOK_EVERY_S = 60.0


class CertificateWatch:
    """Puts what the files of `tls` hold into `context` when they change; new connections are served with it.

    Files that cannot be used (half written, a key that belongs to another certificate) leave the context as
    it is; they are looked at again.
    """

    def __init__(self, tls: TlsConfig, context: ssl.SSLContext, every_s: float | None = None) -> None:
        self._tls = tls
        self._context = context
        self._every_s = LOOK_EVERY_S if every_s is None else every_s
        self._loaded = _marks(tls)
        self._refused = ""
        self._looking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._looking = asyncio.create_task(self._look_again_and_again(), name="certificate watch")

    async def stop(self) -> None:
        looking, self._looking = self._looking, None
        if looking is not None:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def look(self) -> bool:
        """Whether a new certificate was taken."""
        marks = await asyncio.to_thread(_marks, self._tls)
        if marks == self._loaded:
            return False
        certificate, key = self._tls.certificate, self._tls.key
        try:
            # Tried apart first: a context that refuses a pair has already let go of the one before.
            await asyncio.to_thread(server_context, certificate, key)
            self._context.load_cert_chain(certificate, key)
        except (Unavailable, OSError) as error:
            if str(error) != self._refused:
                log.error("certificate_refused", problem=str(error), effect="the one before is still served")
            self._refused = str(error)
            return False
        self._loaded, self._refused = marks, ""
        log.info("certificate_renewed", certificate=str(certificate))
        return True

    async def _look_again_and_again(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            await self.look()


def _marks(tls: TlsConfig) -> tuple[tuple[int, int, int] | None, ...]:
    return _mark(tls.certificate), _mark(tls.key)


def _mark(path: Path) -> tuple[int, int, int] | None:
    """What changes with a file's content; None where it cannot be read."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
