"""A catalog in a thread of its own, so that no query and no commit runs on the event loop.

Belongs here: crossing threads. Does not: queries (catalog).
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from vms.storage.catalog import Catalog
from vms.storage.errors import CatalogUnusable

_Result = TypeVar("_Result")


class CatalogThread:
    """One thread and the one connection that it uses."""

    def __init__(self, path: Path, volume: Path) -> None:
        """Open or make the catalog, blocking. Raises CatalogUnusable."""
        self._path = path
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=f"catalog-{volume.name}")
        try:
            self._catalog = self._executor.submit(Catalog, path, volume).result()
        except CatalogUnusable:
            self._executor.shutdown()
            raise

    def submit(self, call: Callable[[Catalog], _Result]) -> Future[_Result]:
        """Run `call` in the thread; for other threads, which may wait for the result."""
        try:
            return self._executor.submit(call, self._catalog)
        except RuntimeError as error:  # shut down
            raise CatalogUnusable(self._path, "is closed") from error

    async def run(self, call: Callable[[Catalog], _Result]) -> _Result:
        """Run `call` in the thread and wait for it without blocking the loop."""
        return await asyncio.wrap_future(self.submit(call))

    def close(self) -> None:
        """Finish what was submitted, close the catalog and end the thread; blocks."""
        self._executor.submit(self._catalog.close)
        self._executor.shutdown()
