"""What viewers say of the pictures that they saw: how old, how many, how many froze.

Belongs here: what a report holds and may say, adding reports up, how many an address may send. Does not: the route,
what streams measure on their own (vms.stream.latency).
"""

from collections import Counter, OrderedDict
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from vms.api.documents import Body
from vms.common.clock import NS, Clock
from vms.telemetry.histogram import LATENCY_BOUNDS_S, Histogram, as_samples
from vms.telemetry.metrics import MetricFamily, MetricKind

LIVE_PROTOCOLS = ("webrtc", "websocket", "hls", "webtransport")
BUCKETS = len(LATENCY_BOUNDS_S) + 1
PICTURES_MAX = 10_000  # of one report: a minute at 120 pictures a second, and more
LATENCY_MAX_S = 60.0  # older than that is no live picture, or a clock that is wrong
BURST, PER_SECOND = 256, 32
"""Reports of an address: a wall of 64 tiles makes 6.4 a second, and several viewers share an address."""
_ADDRESSES_MAX = 4096
_BOUNDS = ", ".join(f"{bound * 1000:g}" for bound in LATENCY_BOUNDS_S)

_EXAMPLE: JsonDict = {
    "protocol": "webrtc",
    "frames": 250,
    "dropped": 0,
    "freezes": 0,
    "network_ms": 15.5,
    "camera_to_screen": {"counts": [0, 0, 0, 0, 0, 10, 240, 0, 0, 0, 0, 0, 0, 0], "sum_ms": 16_500.0},
}

Count = Annotated[int, Field(ge=0, le=PICTURES_MAX, strict=True)]


class LatencySums(Body):
    """How many pictures took how long."""

    counts: Annotated[list[Count], Field(min_length=BUCKETS, max_length=BUCKETS)] = Field(
        description=f"pictures by bucket; upper bounds in ms, inclusive: {_BOUNDS}, none"
    )
    sum_ms: Annotated[float, Field(ge=0, le=PICTURES_MAX * LATENCY_MAX_S * 1000, allow_inf_nan=False)] = (
        Field(description="of all pictures together")
    )

    @model_validator(mode="after")
    def _can_be(self) -> "LatencySums":
        if sum(self.counts) > PICTURES_MAX:
            raise ValueError(f"more than {PICTURES_MAX} pictures in one report")
        least_s = sum(
            bound * count for bound, count in zip((0.0, *LATENCY_BOUNDS_S), self.counts, strict=True)
        )
        most_s = sum(
            bound * count
            for bound, count in zip((*LATENCY_BOUNDS_S, LATENCY_MAX_S), self.counts, strict=True)
        )
        if not least_s * 0.999 <= self.sum_ms / 1000 <= most_s * 1.001:
            raise ValueError("sum_ms cannot be the sum of pictures in these buckets")
        return self


class ViewerReport(Body):
    """One viewer's last few seconds of one camera. Parts that a browser cannot measure are left out."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    protocol: Literal["webrtc", "websocket", "hls", "webtransport"]
    frames: Count = Field(description="pictures that were shown")
    dropped: Count = Field(0, description="pictures that were decoded and not shown")
    freezes: Count = Field(0, description="times at which the picture stood still too long")
    network_ms: Annotated[float, Field(ge=0, le=LATENCY_MAX_S * 1000, allow_inf_nan=False)] | None = Field(
        None, description="from the server to the browser: half of the round trip"
    )
    camera_to_screen: LatencySums | None = Field(None, description="from capture to display")
    in_browser: LatencySums | None = Field(None, description="from a picture's last packet to display")


class ReportLimit:
    """`BURST` reports of an address at once, then `PER_SECOND`; state for a bounded number of addresses (GCRA)."""

    def __init__(self, clock: Clock) -> None:
        self.refused = 0
        self._clock = clock
        self._due_ns: OrderedDict[str, int] = OrderedDict()

    def take(self, address: str) -> bool:
        """Whether the address may send a report now; it counts as sent then."""
        now_ns = self._clock.monotonic_ns()
        due_ns = max(self._due_ns.get(address, 0), now_ns)
        if due_ns - now_ns > (BURST - 1) * NS // PER_SECOND:
            self.refused += 1
            return False
        self._due_ns[address] = due_ns + NS // PER_SECOND
        self._due_ns.move_to_end(address)
        if len(self._due_ns) > _ADDRESSES_MAX:
            self._due_ns.popitem(last=False)
        return True


class ViewerReports:
    """All reports that this process took, added up: as many series as there are protocols, not viewers.

    reports, frames, dropped, freezes: by protocol.
    """

    def __init__(self, clock: Clock) -> None:
        self.limit = ReportLimit(clock)
        self.reports: Counter[str] = Counter()
        self.frames: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.freezes: Counter[str] = Counter()
        self.network = Histogram()
        self.camera_to_screen = Histogram()
        self.in_browser = Histogram()

    def add(self, report: ViewerReport) -> None:
        protocol = report.protocol
        self.reports[protocol] += 1
        self.frames[protocol] += report.frames
        self.dropped[protocol] += report.dropped
        self.freezes[protocol] += report.freezes
        if report.network_ms is not None:
            self.network.observe(report.network_ms / 1000)
        _add(self.camera_to_screen, report.camera_to_screen)
        _add(self.in_browser, report.in_browser)

    def metrics(self) -> Iterable[MetricFamily]:
        stages = [
            (("server_to_browser",), self.network),
            (("in_browser",), self.in_browser),
            (("camera_to_screen",), self.camera_to_screen),
        ]
        yield MetricFamily(
            "vms_latency_seconds",
            MetricKind.HISTOGRAM,
            "how long pictures took, by stage of their way from the camera to the screen",
            ("stage", "le"),
            as_samples(stages),
        )
        for name, text, counts in (
            ("reports", "reports of viewers taken", self.reports),
            ("frames_shown", "pictures that viewers report as shown", self.frames),
            ("frames_dropped", "pictures that viewers report as decoded and not shown", self.dropped),
            ("freezes", "times that viewers report a picture to have stood still", self.freezes),
        ):
            samples = [((protocol,), float(counts[protocol])) for protocol in LIVE_PROTOCOLS]
            yield MetricFamily(f"vms_viewer_{name}", MetricKind.COUNTER, text, ("protocol",), samples)
        yield MetricFamily(
            "vms_viewer_reports_refused",
            MetricKind.COUNTER,
            "reports of viewers refused because their address sent too many",
            (),
            [((), float(self.limit.refused))],
        )


def _add(histogram: Histogram, sums: LatencySums | None) -> None:
    if sums is not None:
        histogram.counts = [mine + its for mine, its in zip(histogram.counts, sums.counts, strict=True)]
        histogram.total += sums.sum_ms / 1000
