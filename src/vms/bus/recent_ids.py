"""Which events were seen lately.

Belongs here: a bounded memory of ids. Does not: what to do with an event (the consumers).
"""

from collections import OrderedDict

LIMIT = 100_000


class RecentIds:
    """The last `limit` ids; the one seen longest ago is forgotten first."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._ids: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, event_id: str) -> bool:
        if event_id not in self._ids:
            return False
        self._ids.move_to_end(event_id)
        return True

    def add(self, event_id: str) -> None:
        self._ids[event_id] = None
        self._ids.move_to_end(event_id)
        if len(self._ids) > self._limit:
            self._ids.popitem(last=False)
