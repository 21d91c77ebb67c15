"""How a tier is, as the mover sees it: its errors, when it is tried again, whether it takes more.

Belongs here: remembering. Does not: using it (mover).
"""

from vms.common.backoff import Backoff
from vms.common.clock import NS, Clock
from vms.storage.tiers.errors import TierFull, TierUnavailable
from vms.storage.tiers.store import TierStore
from vms.telemetry.logs import get_logger

CHECK_INTERVAL_NS = 60 * NS

log = get_logger(__name__)


class TierHealth:
    """One tier, its errors, and when it is tried again."""

    def __init__(self, store: TierStore, clock: Clock) -> None:
        self.store = store
        self.used_bytes = 0
        self.error: TierUnavailable | None = None
        self._clock = clock
        self._backoff = Backoff(5.0, 300.0)
        self._retry_at_ns = 0
        self._check_at_ns = 0

    @property
    def due(self) -> bool:
        """Whether it works, or failed long enough ago to be tried again."""
        return self.error is None or self._clock.monotonic_ns() >= self._retry_at_ns

    @property
    def takes_more(self) -> bool:
        """What is beyond the quota by a file is retention's to delete; more than that does not come."""
        return self.due and self.used_bytes <= self.store.quota_bytes

    @property
    def full(self) -> bool:
        """Whether it is its quota, or its disk, that keeps recordings out."""
        return self.used_bytes > self.store.quota_bytes or isinstance(self.error, TierFull)

    def check_due(self) -> bool:
        """Whether to ask if it works: once a minute, and of one that failed when it may be tried again."""
        now_ns = self._clock.monotonic_ns()
        if not self.due or now_ns < self._check_at_ns:
            return False
        self._check_at_ns = now_ns + CHECK_INTERVAL_NS
        return True

    def failed(self, error: TierUnavailable) -> None:
        if self.error is None or self.error.reason != error.reason:
            log.warning(
                "a tier cannot be used; its recordings wait", tier=self.store.name, reason=error.reason
            )
        self.error = error
        self._retry_at_ns = self._clock.monotonic_ns() + round(self._backoff.next_s() * NS)
        self._check_at_ns = self._retry_at_ns

    def works(self) -> None:
        if self.error is not None:
            log.info("a tier can be used again", tier=self.store.name)
        self.error = None
        self._backoff.reset()
