"""What is counted of a viewer, from its session's beginning on.

Belongs here: plain counters. Does not: what viewers report of their reception (vms.stream.webrtc.reception),
metrics (vms.stream.webrtc.metrics).
"""

from dataclasses import dataclass


@dataclass(slots=True)
class ViewerCounters:
    frames: int = 0
    frames_skipped: int = 0  # left out because the viewer's queue was full
    resent: int = 0
    nacks: int = 0  # packets asked for
    key_requests: int = 0
    key_requests_answered: int = 0
    switches: int = 0  # to another stream of the camera
    packets_lost: int = 0  # as the viewer reports them

    def add(self, other: "ViewerCounters") -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))
