"""What is refused, and why: one small pure function for each reason, cheap ones first. Stages to come replace single
ones; a name that was ever written to ``rejected-intents`` keeps its meaning."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from inference.plausibility import THRESHOLD
from inference.tail import Tail
from inference.words import DANGLING, WEAK, content_words, stem, stems
from schemas.records import BehaviorPair

MIN_LETTERS = 3
MAX_WORDS = 12
MAX_CHARS = 80
"""The examples have 2 to 8 words; what is longer is a sentence about something else."""

_LETTER = re.compile(r"[^\W\d_]")
_FOREIGN = re.compile(r'[":<>{}\[\]|\\]|https?|www\.|\.com', re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One candidate's tail, with what it is judged by."""

    pair: BehaviorPair
    tail: Tail
    tail_key: str
    plausibility: float
    examples: frozenset[str]
    """Keys of the tails that the prompt showed."""
    earlier: frozenset[str]
    """Keys of the tails accepted for this pair so far."""


def empty(proposal: Proposal) -> bool:
    """The model said nothing."""
    return not proposal.tail_key


def incomplete(proposal: Proposal) -> bool:
    """Cut by ``max_tokens``, or ending in a word that needs another ("to", "with the")."""
    return proposal.tail.cut or proposal.tail.text.split()[-1].casefold() in DANGLING


def too_short(proposal: Proposal) -> bool:
    """Fewer letters than any word that means something."""
    return len(_LETTER.findall(proposal.tail.text)) < MIN_LETTERS


def too_long(proposal: Proposal) -> bool:
    """More than a phrase."""
    return len(proposal.tail.text) > MAX_CHARS or len(proposal.tail.text.split()) > MAX_WORDS


def malformed(proposal: Proposal) -> bool:
    """Marks of the prompt's frame, of markup or of an address: the model left the form."""
    return _FOREIGN.search(proposal.tail.text) is not None


def repetitive(proposal: Proposal) -> bool:
    """The same word twice ("smoothies and smoothies")."""
    words = content_words(proposal.tail.text)
    return len(set(words)) < len(words)


def copied(proposal: Proposal) -> bool:
    """One of the prompt's own examples, its thought in other words, or all of it but one word ("celebrating the new
    moon"): it would be said of anything. What the pair itself speaks of is not counted as copied."""
    words, own = proposal.tail_key.split(), _own_words(proposal)
    return any(
        proposal.tail_key == example or _same_thought(own, example) or _one_word_apart(words, own, example)
        for example in proposal.examples
    )


def vague(proposal: Proposal) -> bool:
    """Nothing but words that say next to nothing ("people who want to use it")."""
    return WEAK.issuperset(content_words(proposal.tail.text))


def echo(proposal: Proposal) -> bool:
    """The query, a title, a product type or a category again, or nothing beyond their words ("eating a banana")."""
    return (_head_words(proposal.pair) | WEAK).issuperset(content_words(proposal.tail.text))


def duplicate(proposal: Proposal) -> bool:
    """Accepted for this pair already, by another relation or candidate."""
    return proposal.tail_key in proposal.earlier


def implausible(proposal: Proposal) -> bool:
    """The model itself was not sure of it."""
    return proposal.plausibility <= THRESHOLD


FILTERS: Mapping[str, Callable[[Proposal], bool]] = {
    found.__name__: found
    for found in (
        empty,
        incomplete,
        too_short,
        too_long,
        malformed,
        repetitive,
        copied,
        vague,
        echo,
        duplicate,
        implausible,
    )
}
"""By name, in the order in which they are tried; the first that refuses gives the reason."""


def reason_against(proposal: Proposal) -> str | None:
    """The name of the first filter that refuses, or None."""
    return next((name for name, refuses in FILTERS.items() if refuses(proposal)), None)


def _own_words(proposal: Proposal) -> frozenset[str]:
    """What the tail says that its pair does not."""
    return frozenset(content_words(proposal.tail.text)) - WEAK - _head_words(proposal.pair)


def _same_thought(own: frozenset[str], example: str) -> bool:
    return bool(own) and own.issubset(content_words(example))


def _one_word_apart(words: Sequence[str], own: frozenset[str], example: str) -> bool:
    """Three words or more, the same but for one, and with a word in common that says something."""
    shown = example.split()
    if len(words) != len(shown) or len(words) < 3 or own.isdisjoint(content_words(example)):
        return False
    others = [word for word, other in zip(words, shown, strict=True) if word != other]
    return len(others) == 1 and stem(others[0]) in own | WEAK


def _head_words(pair: BehaviorPair) -> frozenset[str]:
    """Every word by which the pair is known."""
    return stems([pair.query, *(text for p in pair.products for text in (p.title, p.product_type, p.category))])
