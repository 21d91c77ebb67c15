"""What viewers have asked for and is under way: one thing a viewer, the newest.

Belongs here: that a later wish ends the one before, and where faults go. Does not: what is wished for (services).
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, Protocol, TypeVar

from vms.common.errors import VmsError
from vms.common.ids import CameraId
from vms.telemetry.logs import get_logger

log = get_logger(__name__)


class Wisher(Protocol):
    camera_id: CameraId


Viewer = TypeVar("Viewer", bound=Wisher)


class Wishes(Generic[Viewer]):
    """refused: told why a wish cannot be met. failed: told of a fault of this program, which is logged.

    over: told when nothing is under way for a viewer any more, be it met or not, or cancelled.
    """

    def __init__(
        self,
        refused: Callable[[Viewer, VmsError], None],
        failed: Callable[[Viewer], None],
        over: Callable[[Viewer], None] = lambda viewer: None,
    ) -> None:
        self._refused = refused
        self._failed = failed
        self._over = over
        self._tasks: dict[Viewer, asyncio.Task[None]] = {}

    def __contains__(self, viewer: Viewer) -> bool:
        return viewer in self._tasks

    def begin(self, viewer: Viewer, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do this for a viewer from now on, instead of what is under way for it."""
        self.cancel(viewer)
        self._tasks[viewer] = asyncio.get_running_loop().create_task(self._meet(viewer, work))

    def cancel(self, viewer: Viewer) -> None:
        """It wants nothing more, or is gone."""
        task = self._tasks.pop(viewer, None)
        if task is not None:
            task.cancel()
            self._over(viewer)

    async def _meet(self, viewer: Viewer, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        except VmsError as error:
            self._refused(viewer, error)
        except Exception:
            log.exception("a wish of a viewer failed", camera=viewer.camera_id)
            self._failed(viewer)
        finally:
            if self._tasks.get(viewer) is asyncio.current_task():
                del self._tasks[viewer]
                self._over(viewer)
