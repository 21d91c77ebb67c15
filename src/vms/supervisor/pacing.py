"""How soon a process that ended is started again.

Belongs here: the decision. Does not: waiting (worker).
"""

from vms.common.backoff import Backoff
from vms.supervisor.plan import Timings

PATIENCE = 3  # short lives in a row that may be an accident
_AT_ONCE_S = 1.0  # an ordered end sooner than this is none that anybody asked for


class RestartPace:
    """At once after a life; with a growing delay when lives in a row are short."""

    def __init__(self, timings: Timings) -> None:
        self._timings = timings
        self._backoff = Backoff(timings.backoff_first_s, timings.backoff_longest_s)
        self._short_lives = 0

    def delay_s(self, lived_s: float, *, ordered: bool) -> float:
        """Seconds to wait. ordered: it ended by itself, with status 0, as workers do on SIGHUP."""
        if lived_s >= self._timings.young_s:
            self.reset()
        elif not ordered or lived_s < _AT_ONCE_S:
            self._short_lives += 1
        if self._short_lives < PATIENCE:
            return self._timings.again_s
        return max(self._timings.again_s, self._backoff.next_s())

    def reset(self) -> None:
        """Forget: its plan is another one now, or a person asked."""
        self._short_lives = 0
        self._backoff.reset()
