"""Jittered exponential back-off, so that a hundred cameras behind one switch do not return at once."""

import random


class Backoff:
    """Delays of `first_s`, doubling to `longest_s`, each drawn from 50–100% of its step."""

    def __init__(
        self, first_s: float = 1.0, longest_s: float = 30.0, rng: random.Random | None = None
    ) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._rng = rng or random.Random()  # noqa: S311 - spreads load, guards nothing
        self._step_s = first_s

    def next_s(self) -> float:
        """Seconds to wait before the next try."""
        step_s = self._step_s
        self._step_s = min(step_s * 2, self._longest_s)
        return step_s * self._rng.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Start over, after something worked."""
        self._step_s = self._first_s
