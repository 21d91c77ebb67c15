"""Subjects: dot-separated tokens, and patterns of them (NATS protocol, "Subject-based messaging").

Belongs here: what is a subject, what matches it. Does not: which subjects exist (vms.proto.subjects).
"""

import re

from vms.common.errors import InvalidInput

_TOKEN = r"[^\s.*>\x00-\x20\x7f]+"  # noqa: S105 - of a subject
_SUBJECT = re.compile(rf"{_TOKEN}(?:\.{_TOKEN})*")
_PATTERN = re.compile(rf"(?:(?:{_TOKEN}|\*)\.)*(?:{_TOKEN}|\*|>)")
_LONGEST = 512


def check_subject(subject: str) -> None:
    """Raises InvalidInput unless a message can be sent to `subject`."""
    if len(subject) > _LONGEST or not _SUBJECT.fullmatch(subject):
        raise InvalidInput(
            f"subject {subject[:100]!r}: use tokens without spaces and wildcards, with dots between"
        )


def check_pattern(pattern: str) -> None:
    """Raises InvalidInput unless `pattern` can be subscribed to."""
    if len(pattern) > _LONGEST or not _PATTERN.fullmatch(pattern):
        raise InvalidInput(
            f"subject {pattern[:100]!r}: use tokens, * for one, > at the end, with dots between"
        )


class Pattern:
    """A subject to subscribe to; raises InvalidInput for a bad one."""

    def __init__(self, pattern: str) -> None:
        check_pattern(pattern)
        self._tokens = pattern.split(".")
        self._rest = self._tokens[-1] == ">"
        if self._rest:
            self._tokens.pop()

    def matches(self, subject: str) -> bool:
        tokens = subject.split(".")
        if self._rest:
            if len(tokens) <= len(self._tokens):
                return False
        elif len(tokens) != len(self._tokens):
            return False
        return all(mine in ("*", theirs) for mine, theirs in zip(self._tokens, tokens, strict=False))
