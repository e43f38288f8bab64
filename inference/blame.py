"""What follows from a failed attempt: ask again, halve the batch, or give up the one prompt that is left. Pure."""

from __future__ import annotations

from enum import Enum, auto

from inference.errors import Suspect

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0


class Verdict(Enum):
    """What to do with a batch whose attempt failed while the server works otherwise."""

    AGAIN = auto()
    HALVE = auto()
    GIVE_UP = auto()


def judge(error: Suspect, *, prompts: int, failures: int) -> Verdict:
    """``failures``: how often this very batch has failed while the server worked, this time included.

    A prompt is only ever given up for what it did alone.
    """
    if prompts > 1:
        return Verdict.HALVE if failures >= error.tries else Verdict.AGAIN
    return Verdict.GIVE_UP if failures >= error.tries_alone else Verdict.AGAIN


def pause_s(attempts: int, jitter: float) -> float:
    """Before the next attempt: a random part (``jitter`` in 0..1) of a bound that doubles."""
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(attempts - 1, 16)) * jitter
