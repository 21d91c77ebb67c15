"""When something is due, by the clock that is given; for loops that look around every now and then."""

from vms.common.backoff import Backoff
from vms.common.clock import NS, Clock


class Retry:
    """Whether it is time to try again; at once before the first failure."""

    def __init__(self, clock: Clock, backoff: Backoff) -> None:
        self._clock = clock
        self._backoff = backoff
        self._next_ns = 0

    @property
    def due(self) -> bool:
        """True when nothing failed or the delay is over."""
        return self._clock.monotonic_ns() >= self._next_ns

    def failed(self) -> None:
        """Wait before the next try, longer each time."""
        self._next_ns = self._clock.monotonic_ns() + round(self._backoff.next_s() * NS)

    def worked(self) -> None:
        """Start over."""
        self._next_ns = 0
        self._backoff.reset()


class Every:
    """True once in `seconds`, the first time at once."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._every_ns = round(seconds * NS)
        self._last_ns: int | None = None

    @property
    def due(self) -> bool:
        """Asking when it is true begins the next wait."""
        now_ns = self._clock.monotonic_ns()
        if self._last_ns is not None and now_ns - self._last_ns < self._every_ns:
            return False
        self._last_ns = now_ns
        return True
