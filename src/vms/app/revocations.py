"""Sessions that were ended, known to every api process: a cookie that is worthless here is so in all of them.

What one process ended goes into a bucket of the bus that all of them watch: under the digest of the cookie, never the
cookie, when it would have expired by itself. While the bus is away it is remembered here, and put when it is back.

Belongs here: between the bucket and the authenticator. Does not: checking cookies (vms.api.auth).
"""

import asyncio
from collections.abc import Mapping

from vms.api.auth import SESSION_S, Authenticator
from vms.bus.contract import Bus, Entry, Subscription
from vms.bus.errors import BusUnavailable
from vms.common.backoff import Backoff
from vms.telemetry.logs import get_logger

log = get_logger(__name__)

BUCKET = "revoked-sessions"


class SharedRevocations:
    """Wires one authenticator to the bucket, from `start` to `stop`; does nothing where no token is configured."""

    def __init__(self, bus: Bus, authenticator: Authenticator) -> None:
        self._bucket = bus.bucket(BUCKET, ttl_s=SESSION_S)
        self._authenticator = authenticator
        self._in_bucket: set[str] = set()
        self._news = asyncio.Event()
        self._watch: Subscription | None = None
        self._putting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns at once, also while the bus is away."""
        if self._authenticator.required:
            self._authenticator.on_revoked = self._news.set
            self._watch = self._bucket.watch(self._changed, relisted=self._relisted)
            self._putting = asyncio.create_task(self._keep_putting(), name="ended sessions to the bus")

    async def stop(self) -> None:
        if self._watch is not None and self._putting is not None:
            self._watch.close()
            self._putting.cancel()
            await asyncio.wait([self._putting])

    def _changed(self, digest: str, entry: Entry | None) -> None:
        if entry is None:  # it has expired, and the cookie with it
            self._in_bucket.discard(digest)
            return
        self._in_bucket.add(digest)
        try:
            expiry_s = int(entry.value)
        except ValueError:
            log.error("what lies among the ended sessions is none; it is left out", key=digest)
            return
        self._authenticator.revoke(digest, expiry_s)

    def _relisted(self, entries: Mapping[str, Entry]) -> None:
        """The bus is back, perhaps with another store: what it lacks is put."""
        self._in_bucket = set(entries)
        self._news.set()

    async def _keep_putting(self) -> None:
        backoff = Backoff(0.1, 5.0)
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                await self._put_missing()
                backoff.reset()
            except BusUnavailable as error:
                log.debug("ended sessions wait for the bus", reason=str(error))
                self._news.set()
                await asyncio.sleep(backoff.next_s())
            except Exception as error:
                log.error("telling of ended sessions failed; it is tried again", exc_info=error)
                self._news.set()
                await asyncio.sleep(backoff.next_s())

    async def _put_missing(self) -> None:
        """Raises BusUnavailable."""
        for digest, expiry_s in self._authenticator.revoked().items():
            if digest not in self._in_bucket:
                await self._bucket.put(digest, str(expiry_s).encode())
                self._in_bucket.add(digest)
