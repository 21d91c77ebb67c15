"""What the SRT service counts, as metrics.

Belongs here: names and texts. Does not: counting.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from vms.telemetry.metrics import MetricFamily, MetricKind, Samples

if TYPE_CHECKING:
    from vms.stream.srt.push import Push
    from vms.stream.srt.viewer import SrtViewer

_WAY = ("retransmitted", "sent_lost", "sent_dropped")
_OWN = ("sent", "sent_bytes", "skipped", "overruns")
_TEXTS: Mapping[str, tuple[str, str]] = {
    "sent": ("vms_srt_messages_sent", "messages sent to viewers and pushes"),
    "sent_bytes": ("vms_srt_bytes_sent", "bytes of media sent"),
    "skipped": ("vms_srt_messages_skipped", "messages left out because a viewer's buffer was full"),
    "overruns": ("vms_srt_overruns", "times a viewer was too slow and passed over to the next key picture"),
    "retransmitted": ("vms_srt_messages_retransmitted", "messages sent again because they were lost"),
    "sent_lost": ("vms_srt_messages_lost", "messages reported as lost, which were then sent again"),
    "sent_dropped": (
        "vms_srt_messages_dropped",
        "messages dropped by SRT because they were too late to be sent",
    ),
    "refused": ("vms_srt_units_refused", "access units that a transport stream cannot hold"),
    "overrun": ("vms_srt_units_overrun", "access units that nobody got because serving could not keep up"),
    "calls": ("vms_srt_calls", "callers, refused ones included"),
    "ended": ("vms_srt_viewers_ended", "viewers and pushes that have ended"),
}


def tally(viewer: "SrtViewer") -> Counter[str]:
    """What one viewer has counted so far."""
    found = Counter({name: int(getattr(viewer, name)) for name in _OWN})
    if viewer.statistics is not None:
        found.update({name: int(getattr(viewer.statistics, name)) for name in _WAY})
    return found


def families(
    viewers: Sequence["SrtViewer"], totals: Counter[str], refused: Mapping[str, int], pushes: Sequence["Push"]
) -> Iterable[MetricFamily]:
    """totals: by the names of this module. refused: callers by reason."""
    gauge, counter = MetricKind.GAUGE, MetricKind.COUNTER
    watched = Counter(viewer.camera_id for viewer in viewers)
    samples: Samples = [((camera_id,), float(count)) for camera_id, count in watched.items()]
    yield MetricFamily("vms_srt_viewers", gauge, "viewers and pushes over SRT", ("camera",), samples)
    trips = sorted(viewer.statistics.rtt_ms for viewer in viewers if viewer.statistics is not None)
    for name, at in (("median", len(trips) // 2), ("longest", len(trips) - 1)):
        value = trips[at] / 1000 if trips else 0.0
        yield MetricFamily(
            f"vms_srt_round_trip_{name}_seconds",
            gauge,
            f"{name} round trip of viewers now",
            (),
            [((), value)],
        )
    for name, (family, text) in _TEXTS.items():
        yield MetricFamily(family, counter, text, (), [((), float(totals[name]))])
    reasons: Samples = [((reason,), float(count)) for reason, count in sorted(refused.items())]
    yield MetricFamily("vms_srt_calls_refused", counter, "callers refused, by reason", ("reason",), reasons)
    if not pushes:
        return
    labels = ("camera", "target")
    up: Samples = [((each.camera_id, each.target), float(each.live)) for each in pushes]
    yield MetricFamily("vms_srt_push_up", gauge, "1 while a push is connected", labels, up)
    tried: Samples = [((each.camera_id, each.target), float(each.tries)) for each in pushes]
    yield MetricFamily("vms_srt_push_tries", counter, "times a push called", labels, tried)
