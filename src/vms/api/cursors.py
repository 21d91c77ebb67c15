"""Cursors: places in lists whose newest come first, as text that a client passes back."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated

from fastapi import Query

from vms.api.problems import InvalidParameter

_CURSOR = re.compile(r"(\d{1,19})\.(.{1,128})", re.ASCII | re.DOTALL)
_AFTER_ALL_NS = 1 << 63

Cursor = Annotated[str | None, Query(max_length=256, description="next_cursor of the answer before this one")]


def cursor_text(time_ns: int, item_id: str) -> str:
    """The cursor of what is behind an item."""
    return urlsafe_b64encode(f"{time_ns}.{item_id}".encode()).rstrip(b"=").decode()


def parse_cursor(cursor: str | None, name: str = "cursor") -> tuple[int, str] | None:
    """(time, id) of the item that the cursor names; None for none. Raises InvalidParameter."""
    if cursor is None:
        return None
    try:
        match = _CURSOR.fullmatch(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode())
    except ValueError:
        match = None
    if match is None or int(match[1]) >= _AFTER_ALL_NS:
        raise InvalidParameter(f"query.{name}", "is none; take it from next_cursor of an answer")
    return int(match[1]), match[2]
