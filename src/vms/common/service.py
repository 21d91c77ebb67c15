"""The life cycle that every service of the system shares."""

from typing import Protocol


class Service(Protocol):
    """Something that runs until told to stop."""

    async def start(self) -> None:
        """Be ready to work when this returns; raise a VmsError when that cannot be."""

    async def stop(self) -> None:
        """Finish what was begun, release everything, and return; never raises for a stopped one."""
