"""Errors that nobody expected: a 500 with an id that is in the log; the answer says nothing else."""

import uuid

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vms.api.problems import problem_response
from vms.api.request_counters import HttpCounters, request_facts
from vms.telemetry.logs import get_logger

log = get_logger(__name__)


class Incidents:
    """Ends every failed request with an answer, logs the cause, and counts it."""

    def __init__(self, app: ASGIApp, counters: HttpCounters) -> None:
        self._app = app
        self._counters = counters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:
            return  # it left before its request was whole: nobody is there to be answered
        except Exception as error:
            self._counters.incidents += 1
            incident = uuid.uuid4()
            log.error("request failed", incident=str(incident), **request_facts(scope), exc_info=error)
            if started:
                return  # the server sees an answer that is not whole, and closes the connection
            detail = f"an internal error, logged as incident {incident}; trying again may help"
            await problem_response(500, detail, incident.urn)(scope, receive, send)
