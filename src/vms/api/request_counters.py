"""How many requests are answered, by route and status class, and how many failed unexpectedly."""

from collections import Counter
from collections.abc import Iterable, Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vms.telemetry.metrics import MetricFamily, MetricKind

_METHODS = {"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"}


class HttpCounters:
    """Plain counters of one API; as many series as there are routes, not paths.

    requests: by (method, route template, status class).
    """

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str, str]] = Counter()
        self.in_flight = 0
        self.incidents = 0

    def metrics(self) -> Iterable[MetricFamily]:
        yield MetricFamily(
            "vms_http_requests",
            MetricKind.COUNTER,
            "requests answered, by status class; none: the client left before an answer",
            ("method", "route", "status"),
            [(labels, float(count)) for labels, count in self.requests.items()],
        )
        yield _single(
            "vms_http_requests_in_flight", MetricKind.GAUGE, "requests being answered", self.in_flight
        )
        yield _single(
            "vms_http_incidents",
            MetricKind.COUNTER,
            "requests that failed for an internal error",
            self.incidents,
        )


class CountRequests:
    """Counts what passes, outside of everything else."""

    def __init__(self, app: ASGIApp, counters: HttpCounters) -> None:
        self._app = app
        self._counters = counters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self._counters.in_flight += 1
        try:
            await self._app(scope, receive, watched)
        finally:
            self._counters.in_flight -= 1
            facts = request_facts(scope)
            status_class = f"{status // 100}xx" if status else "none"
            self._counters.requests[facts["method"], facts["route"], status_class] += 1


def request_facts(scope: Scope) -> Mapping[str, str]:
    """Method and route template of a request, each out of a small set; for logs and metrics."""
    route = getattr(scope.get("route"), "path", None)
    method = scope["method"]
    return {
        "method": method if method in _METHODS else "OTHER",
        "route": route if isinstance(route, str) else "other",
    }


def _single(name: str, kind: MetricKind, text: str, value: float) -> MetricFamily:
    return MetricFamily(name, kind, text, (), [((), value)])
