"""Work for a client that waits, and only for as long as it does.

Belongs here: noticing that a client is gone, and giving up what was done for it. Does not: what that is.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.types import Receive

_Result = TypeVar("_Result")

GONE_STATUS = 499
"""What an answer to nobody is counted as; it is never sent."""


class ClientGone(Exception):  # not an error: nobody is left to be told
    """The client went away before the work was done."""


async def while_connected(work: Coroutine[Any, Any, _Result], receive: Receive) -> _Result:
    """Do `work`, and cancel it when the client goes away. receive: of a request whose body was read, or has none.

    Raises ClientGone once the work has ended then, and what the work raises.
    """
    working, watching = asyncio.create_task(work), asyncio.create_task(_disconnected(receive))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGone
        return working.result()
    finally:
        working.cancel()
        watching.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
