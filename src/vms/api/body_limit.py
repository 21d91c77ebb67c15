"""How large a request body may be and how long it may take.

Plain ASGI: streaming and disconnects pass through untouched once the body is complete.
"""

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vms.api.problems import problem_response

BODY_MAX_BYTES = 256 << 10
BODY_TIMEOUT_S = 30.0


class _BodyRefused(Exception):
    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class BodyLimit:
    """Refuses bodies that are too large (413) or come too slowly (408), before they are in memory."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._max_bytes = BODY_MAX_BYTES
        self._timeout_s = BODY_TIMEOUT_S

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        length = Headers(scope=scope).get("content-length", "0")
        if not length.isdecimal() or len(length) > 18 or int(length) > self._max_bytes:
            await self._refuse(413, self._too_large(), scope, receive, send)
            return
        received_bytes, complete, refused = 0, False, None
        deadline_s = asyncio.get_running_loop().time() + self._timeout_s

        async def limited() -> Message:
            nonlocal received_bytes, complete, refused
            if complete:
                return await receive()
            try:
                async with asyncio.timeout_at(deadline_s):
                    message = await receive()
            except TimeoutError:
                refused = _BodyRefused(408, f"the body was not complete after {self._timeout_s:.0f} s")
                raise refused from None
            received_bytes += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if received_bytes > self._max_bytes:
                refused = _BodyRefused(413, self._too_large())
                raise refused
            return message

        started = False

        async def guarded(message: Message) -> None:
            nonlocal started
            if refused is not None and not started:
                return  # the framework's own answer to the interrupted body
            started = True
            await send(message)

        try:
            await self._app(scope, limited, guarded)
        except _BodyRefused:
            if started:
                raise
        if refused is not None and not started:
            await self._refuse(refused.status, refused.detail, scope, receive, send)

    def _too_large(self) -> str:
        return f"the body is larger than {self._max_bytes} bytes"

    async def _refuse(self, status: int, detail: str, scope: Scope, receive: Receive, send: Send) -> None:
        # What is left of the body is not read, so the connection cannot be used again.
        response = problem_response(status, detail, scope["path"], headers={"Connection": "close"})
        await response(scope, receive, send)
