"""The page in an archive that plays its clips: one file, no network, nothing to install.

Belongs here: putting the facts into the page (player.html beside this module). Does not: the facts (archive).
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

_PLACE = "/*FACTS*/null"


def player_page(facts: Mapping[str, object]) -> str:
    """The page for an archive. facts: as its manifest has them; no text in them can end the script it stands in."""
    text = json.dumps(facts, ensure_ascii=False)
    for character, escaped in (
        ("<", "\\u003c"),
        (">", "\\u003e"),
        ("&", "\\u0026"),
        ("\u2028", "\\u2028"),
        ("\u2029", "\\u2029"),
    ):
        text = text.replace(character, escaped)
    page = _page()
    assert _PLACE in page, "the page has a place for the facts"
    return page.replace(_PLACE, text, 1)


@cache
def _page() -> str:
    return (Path(__file__).parent / "player.html").read_text(encoding="utf-8")
