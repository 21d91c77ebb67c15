"""How busy a disk is with what this process writes, and how much more it could take.

A disk is busy while at least one operation waits for it, as ``iostat`` has it (%util); averaged over some ten seconds.
What other processes do to the disk shows in how long ours take.

Belongs here: measuring. Does not: choosing (volume_choice).
"""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

WINDOW_S = 10.0
PRIOR_BYTES_PER_S = 150e6  # what a disk is taken to write until it shows otherwise
_PRIOR_SHARE = 0.05  # as if it had been seen to do so for this share of the time
_SAMPLE_S = 1.0


class DiskLoad:
    """Busy share and rate of one disk. All methods may be called from several threads at once."""

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = monotonic_s
        self._lock = threading.Lock()
        self._active = 0
        self._since_s = 0.0  # when `_active` became more than 0
        self._busy_s = 0.0  # since the last sample
        self._bytes = 0
        self._sampled_s = monotonic_s()
        self._busy = 0.0
        self._rate = 0.0
        self._expected = 0.0
        self._expected_s = self._sampled_s

    @contextmanager
    def working(self, size_bytes: int = 0) -> Iterator[None]:
        """While an operation that writes so many bytes waits for the disk."""
        with self._lock:
            if not self._active:
                self._since_s = self._now_s()
            self._active += 1
        try:
            yield
        finally:
            with self._lock:
                self._active -= 1
                self._bytes += size_bytes
                if not self._active:
                    self._busy_s += self._now_s() - self._since_s

    def expect(self, bytes_per_s: float) -> None:
        """Something begins to write so much from now on; counts until the measured rate shows it."""
        with self._lock:
            self._expected = self._still_expected() + bytes_per_s

    @property
    def busy(self) -> float:
        """Share of time, 0 to 1."""
        with self._lock:
            self._sample()
            return self._busy

    @property
    def bytes_per_s(self) -> float:
        """What is being written."""
        with self._lock:
            self._sample()
            return self._rate

    @property
    def free_bytes_per_s(self) -> float:
        """What more the disk would take, as far as is known; below 0 when more is expected than that."""
        with self._lock:
            self._sample()
            capacity = (self._rate + PRIOR_BYTES_PER_S * _PRIOR_SHARE) / (self._busy + _PRIOR_SHARE)
            return capacity * (1 - self._busy) - self._still_expected()

    def _still_expected(self) -> float:
        now_s = self._now_s()
        self._expected *= math.exp((self._expected_s - now_s) / WINDOW_S)
        self._expected_s = now_s
        return self._expected

    def _sample(self) -> None:
        now_s = self._now_s()
        passed_s = now_s - self._sampled_s
        if passed_s < _SAMPLE_S:
            return
        if self._active:  # an operation that hangs counts while it hangs
            self._busy_s += now_s - max(self._since_s, self._sampled_s)
            self._since_s = now_s
        weight = 1 - math.exp(-passed_s / WINDOW_S)
        self._busy += weight * (min(self._busy_s / passed_s, 1.0) - self._busy)
        self._rate += weight * (self._bytes / passed_s - self._rate)
        self._busy_s, self._bytes, self._sampled_s = 0.0, 0, now_s
