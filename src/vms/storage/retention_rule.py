"""How long footage of one camera is kept, as a keeper applies it."""

from collections.abc import Mapping
from dataclasses import dataclass

from vms.common.camera import Camera, RetentionLimits
from vms.common.clock import NS


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """Ages in ns since the end of a recording.

    age_ns: deleted then; event_age_ns: the same for recordings with event footage, never less. minimum_ns: not deleted
    for room before it. maximum_ns: deleted then at the latest, unless locked; None: no such limit. size_bytes: of all
    recordings of the camera on the volume and its tiers; None: no limit.
    """

    age_ns: int
    event_age_ns: int
    minimum_ns: int = 0
    maximum_ns: int | None = None
    size_bytes: int | None = None


def retention_rule(camera: Camera, classes: Mapping[str, RetentionLimits]) -> RetentionRule:
    """The rule of a camera: its own limits, and those of its class where it says nothing.

    A maximum bounds every other age. A class that is not known says nothing.
    """
    own = camera.limits
    shared = classes.get(camera.retention_class or "", RetentionLimits())
    minimum_s = own.minimum if own.minimum is not None else shared.minimum
    maximum_s = own.maximum if own.maximum is not None else shared.maximum
    events_s = own.events if own.events is not None else shared.events
    size_bytes = own.size if own.size is not None else shared.size
    most_s = maximum_s if maximum_s is not None else float("inf")
    age_s = min(max(camera.retention, minimum_s or 0.0), most_s)
    event_age_s = min(max(events_s or 0.0, age_s), most_s)
    return RetentionRule(
        age_ns=round(age_s * NS),
        event_age_ns=round(event_age_s * NS),
        minimum_ns=round(min(minimum_s or 0.0, most_s) * NS),
        maximum_ns=None if maximum_s is None else round(maximum_s * NS),
        size_bytes=size_bytes,
    )
