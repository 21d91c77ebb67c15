"""What waits for one viewer, newest first: whatever a newer key picture has made useless is left out.

QUIC sends its streams in turn and offers no order among them. So pictures wait here instead, where they can be left
out, and are handed over one at a time, when the connection has sent all of the one before.

Belongs here: what is sent next and what never. Pure. Does not: streams (streams), pictures (feed).
"""

from collections import deque

from vms.stream.quic.messages import Flag, Picture

MAX_BYTES = 4 << 20
GIVE_UP = 4
"""Pictures that wait this many times as long as is usual are left out, even if no key picture has come yet."""


class Outbox:
    """hold_ns: how long a picture waits, at most, once there is a newer key picture.

    awaiting_key: nothing is taken before the next key picture. skipped: pictures left out for being too late.
    """

    def __init__(self, hold_ns: int, max_bytes: int = MAX_BYTES) -> None:
        self.awaiting_key = True
        self.skipped = 0
        self._hold_ns = hold_ns
        self._max_bytes = max_bytes
        self._waiting: deque[Picture] = deque()
        self._bytes = 0
        self._begun = False
        self._afresh = True  # the next key picture does not follow on what was sent

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def next(self) -> Picture | None:
        """What `take` would give."""
        return self._waiting[0] if self._waiting else None

    @property
    def waiting_bytes(self) -> int:
        return self._bytes

    def begin_anew(self) -> None:
        """Another stream comes: forget what waits. Nothing is counted as skipped."""
        self._drop(len(self._waiting))
        self._begun = False
        self.await_key()

    def await_key(self) -> None:
        """Something is missing: take nothing before the next key picture."""
        self.awaiting_key = True

    def put(self, picture: Picture) -> None:
        if self.awaiting_key and not picture.key:
            self.skipped += self._begun
            return
        if self.awaiting_key and not self._waiting:
            self._afresh = True
        self.awaiting_key = False
        self._begun = True
        self._waiting.append(picture)
        self._bytes += len(picture.data)
        if self._is_full():
            self._skip_to_key()
        if self._is_full():
            self._give_up()

    def late(self, now_ns: int, unsent_ns: int | None = None, *, unsent_key: bool = False) -> bool:
        """Whether pictures are left out now: a newer key picture waits, or none has come for too long.

        unsent_ns: when the oldest picture came that was handed over and of which not all is sent; None: there is
        none. unsent_key: it is a key picture, and worth more than the next one, of which nothing is sent yet.
        True: what was handed over, except such a key picture, is to be sent no further.
        """
        if not self._waiting:
            return False
        first_ns = self._waiting[0].queued_ns
        if now_ns - (first_ns if unsent_ns is None else unsent_ns) <= self._hold_ns:
            return False
        if self._skip_to_key(over_unsent=unsent_ns is not None and not unsent_key):
            return True
        if now_ns - first_ns > GIVE_UP * self._hold_ns and not self._waiting[0].key:
            self._give_up()
        return False

    def take(self) -> tuple[Picture, Flag] | None:
        """The next picture to send; None when none waits."""
        if not self._waiting:
            return None
        picture = self._waiting.popleft()
        self._bytes -= len(picture.data)
        flags = Flag.KEY if picture.key else Flag(0)
        if self._afresh and picture.key:
            flags |= Flag.AFRESH
            self._afresh = False
        return picture, flags

    def _is_full(self) -> bool:
        """One picture alone may be as large as it is."""
        return self._bytes > self._max_bytes and len(self._waiting) > 1

    def _skip_to_key(self, *, over_unsent: bool = False) -> bool:
        """Leave out what is before the newest key picture. False: nothing is before one."""
        at = next((n for n in range(len(self._waiting) - 1, -1, -1) if self._waiting[n].key), -1)
        if at < 0 or (at == 0 and not over_unsent):
            return False
        self.skipped += at
        self._drop(at)
        self._afresh = True
        return True

    def _give_up(self) -> None:
        self.skipped += len(self._waiting)
        self._drop(len(self._waiting))
        self.await_key()

    def _drop(self, count: int) -> None:
        for _ in range(count):
            self._bytes -= len(self._waiting.popleft().data)
