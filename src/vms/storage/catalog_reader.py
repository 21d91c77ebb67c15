"""A volume's catalog as a process reads it that does not keep it.

The keeper, in another process, may make it, replace it or be killed at any moment: a catalog that cannot be read
now is left out of an answer, and tried again with the next question.

Belongs here: opening it anew when it was replaced, and a thread for it. Does not: queries (catalog).
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from vms.storage.catalog import Catalog
from vms.storage.errors import CatalogUnusable
from vms.storage.layout import CATALOG_NAME
from vms.telemetry.logs import get_logger

log = get_logger(__name__)
_Result = TypeVar("_Result")


class CatalogReader:
    """The catalog of the volume at `volume`, opened when it is asked. Counters: failures."""

    def __init__(self, volume: Path) -> None:
        self.failures = 0
        self._volume = volume
        self._path = volume / CATALOG_NAME
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=f"read-{volume.name}")
        self._catalog: Catalog | None = None
        self._inode: tuple[int, int] | None = None
        self._told: str | None = None
        self._closed = False

    async def ask(self, question: Callable[[Catalog], _Result]) -> _Result:
        """Its answer. Raises CatalogUnusable when there is none now."""
        loop = asyncio.get_running_loop()
        try:
            answer = await loop.run_in_executor(self._executor, self._ask, question)
        except CatalogUnusable as error:
            self.failures += 1
            if self._told != str(error):
                self._told = str(error)
                log.warning("a catalog cannot be read; it is left out", reason=str(error))
            raise
        self._told = None
        return answer

    async def close(self) -> None:
        """Close it and end the thread, after a question in progress. Harmless when done before."""
        if not self._closed:
            self._closed = True
            forgotten = self._executor.submit(self._forget)
            self._executor.shutdown(wait=False)
            await asyncio.wrap_future(forgotten)

    def _ask(self, question: Callable[[Catalog], _Result]) -> _Result:
        try:
            return question(self._current())
        except CatalogUnusable:
            self._forget()
            raise

    def _current(self) -> Catalog:
        try:
            status = self._path.stat()
        except OSError as error:
            raise CatalogUnusable(self._path, error.strerror or str(error)) from error
        if self._catalog is None or (status.st_dev, status.st_ino) != self._inode:
            self._forget()
            self._catalog = Catalog(self._path, self._volume, read_only=True)
            self._inode = status.st_dev, status.st_ino
        return self._catalog

    def _forget(self) -> None:
        if self._catalog is not None:
            self._catalog.close()
            self._catalog = None
