"""A candidate's text as a tail: its first sentence without list marks, quotes and full stop, and how sure it was."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from inference.asked import Candidate, Token
from schemas.text import clean

_SENTENCE_END = re.compile(r"[.!?;](?=\s|$)|\n")
_LIST_MARK = re.compile(r"^\s*(?:\d{1,2}[.)]|[-*•])\s+")
_EDGES = " \t\"'`“”‘’.,;:!?-–—"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """What a candidate says. ``cut``: the model was stopped before its first sentence ended."""

    text: str
    cut: bool
    mean_logprob: float | None
    """Mean natural logarithm of the probabilities of its tokens; None when there are none."""


def tail_of(candidate: Candidate) -> Tail:
    """The tail of a candidate; its text may be empty."""
    start = len(match.group()) if (match := _LIST_MARK.match(candidate.text)) else 0
    ended = _SENTENCE_END.search(candidate.text, start)
    sentence = candidate.text[start : ended.start() if ended else None]
    return Tail(
        text=clean(sentence).strip(_EDGES),
        cut=candidate.cut and ended is None,
        mean_logprob=_mean_logprob(candidate.tokens, chars=start + len(sentence)),
    )


def _mean_logprob(tokens: Sequence[Token], *, chars: int) -> float | None:
    """Over the tokens that spell the first ``chars`` characters: what follows, such as the stop text that vLLM counts
    and llama.cpp does not, is no part of the tail."""
    found: list[float] = []
    spelt = 0
    for token in tokens:
        if spelt >= chars:
            break
        found.append(token.logprob)
        spelt += len(token.text)
    return sum(found) / len(found) if found else None
