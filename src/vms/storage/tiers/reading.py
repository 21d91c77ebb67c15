"""Reading recordings out of tiers, whatever state those are in.

A share whose server is gone may keep a thread for ever. So each tier has threads of its own, few, and who waits for
one waits for so long and no longer; then the tier is not asked for a while, and all others go on.

Belongs here: patience. Does not: finding recordings (library), how a tier is read (directory, object).
"""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar
from uuid import UUID

from vms.config import VolumeConfig
from vms.storage.body import Body
from vms.storage.errors import VolumeUnavailable
from vms.storage.layout import IDENTITY_NAME
from vms.storage.tiers.errors import TierUnavailable, from_os_error
from vms.storage.tiers.opening import open_tiers
from vms.storage.tiers.store import TierStore

ANSWER_TIMEOUT_S = 10.0
SILENCE_S = 10.0
_THREADS = 4

_Result = TypeVar("_Result")


class ReadTiers:
    """The tiers of one volume for a process that only reads. Opened when they are needed first; any thread may call."""

    def __init__(self, config: VolumeConfig) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._tiers: Mapping[str, PatientTier] | None = None

    def get(self, name: str) -> "PatientTier":
        """Blocks on the volume's disk. Raises VolumeUnavailable when it cannot tell its id, TierUnavailable."""
        with self._lock:
            if self._tiers is None:
                stores = open_tiers(self._config, self._volume_id())
                self._tiers = {each: PatientTier(store) for each, store in stores.items()}
            tier = self._tiers.get(name)
        if tier is None:
            raise TierUnavailable(
                name, "it is not configured; recordings are in it, so name it in tiers again"
            )
        return tier

    def close(self) -> None:
        """End the threads when they are done."""
        with self._lock:
            tiers, self._tiers = self._tiers or {}, None
        for tier in tiers.values():
            tier.close()

    def _volume_id(self) -> UUID:
        path = self._config.path.absolute()
        try:
            return UUID(json.loads((path / IDENTITY_NAME).read_bytes())["id"])
        except OSError as error:
            raise VolumeUnavailable.from_os_error(path, error) from error
        except (ValueError, KeyError, TypeError) as error:
            raise VolumeUnavailable(path, f"{IDENTITY_NAME} is damaged; restore it") from error


class PatientTier:
    """One tier, asked in threads of its own, never for longer than ANSWER_TIMEOUT_S. Counters: timeouts."""

    def __init__(self, store: TierStore) -> None:
        self.store = store
        self.timeouts = 0
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix=f"tier-{store.name}")
        self._silent_until_s = 0.0

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """What `work` gives. Raises TierUnavailable, and whatever `work` raises."""
        future = self._begin(work)
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                return await asyncio.wrap_future(future)
        except TimeoutError as error:
            raise self._too_long() from error

    def call(self, work: Callable[[], _Result]) -> _Result:
        """As `run`, for threads."""
        future = self._begin(work)
        try:
            return future.result(ANSWER_TIMEOUT_S)
        except TimeoutError as error:
            future.cancel()
            raise self._too_long() from error

    def later(self, work: Callable[[], None]) -> None:
        """Do something that nobody waits for."""
        try:
            self._threads.submit(work)
        except RuntimeError:  # the threads have ended
            work()

    def close(self) -> None:
        """End the threads when they are done."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self.store.close()

    def _begin(self, work: Callable[[], _Result]) -> "Future[_Result]":
        if time.monotonic() < self._silent_until_s:
            raise self._silent()
        try:
            return self._threads.submit(work)
        except RuntimeError as error:
            raise TierUnavailable(self.store.name, "is closed: the system stops") from error

    def _too_long(self) -> TierUnavailable:
        self.timeouts += 1
        self._silent_until_s = time.monotonic() + SILENCE_S
        return self._silent()

    def _silent(self) -> TierUnavailable:
        return TierUnavailable(
            self.store.name, f"did not answer within {ANSWER_TIMEOUT_S:.0f} s; check it and the network"
        )


class PatientBody:
    """Implements Body over one in a tier. A read that takes too long is given up, and ends by itself."""

    def __init__(self, tier: PatientTier, inner: Body) -> None:
        """inner: only for threads of the tier."""
        self.inner = inner
        self._tier = tier
        self._lock = threading.Lock()
        self._users = 1  # the owner, and reads under way: the last one closes it
        self._closed = False

    @property
    def size_bytes(self) -> int:
        return self._ask(lambda: self.inner.size_bytes)

    def read_at(self, offset: int, size: int) -> bytes:
        """See Body. Raises FileNotFoundError when the copy was deleted, TierUnavailable."""
        return self._ask(lambda: self.inner.read_at(offset, size))

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._tier.later(self._leave)

    def _ask(self, work: Callable[[], _Result]) -> _Result:
        def ask() -> _Result:
            with self._lock:
                if self._closed:
                    raise TierUnavailable(self._tier.store.name, "the file was closed")
                self._users += 1
            try:
                return work()
            finally:
                self._leave()

        try:
            return self._tier.call(ask)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise from_os_error(self._tier.store.name, error) from error

    def _leave(self) -> None:
        with self._lock:
            self._users -= 1
            last = self._users == 0
        if last:
            with suppress(OSError):  # shares report late errors here; nothing was written
                self.inner.close()
