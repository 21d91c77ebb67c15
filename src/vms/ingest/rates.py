"""Pictures and bits a second, measured over the last few seconds."""

from collections import deque

from vms.common.clock import NS

WINDOW_S = 5


class RateMeter:
    """Reads counters once a second; per picture it costs nothing."""

    def __init__(self) -> None:
        self._samples: deque[tuple[int, int, int]] = deque(maxlen=WINDOW_S + 1)

    def sample(self, monotonic_ns: int, units: int, size_bytes: int) -> None:
        """Take the counters of pictures and bytes as they stand at `monotonic_ns`."""
        self._samples.append((monotonic_ns, units, size_bytes))

    def rates(self) -> tuple[float, int] | None:
        """(pictures a second, bits a second); None before two samples."""
        if len(self._samples) < 2:
            return None
        (t0, units0, bytes0), (t1, units1, bytes1) = self._samples[0], self._samples[-1]
        seconds = (t1 - t0) / NS
        if seconds <= 0:
            return None
        return (units1 - units0) / seconds, round((bytes1 - bytes0) * 8 / seconds)
