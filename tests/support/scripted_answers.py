"""What the scripted model says: a pure function of the question, so that a test can tell what must come out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import xxhash

VERBS = (
    "keeping", "making", "serving", "cleaning", "preparing", "enjoying", "sharing", "storing",
    "packing", "mixing", "heating", "wrapping", "carrying", "planning", "growing", "saving",
)  # fmt: skip
THINGS = (
    "a warm breakfast", "the kitchen table", "a birthday cake", "lunch for school", "the garden beds",
    "a family dinner", "cold winter evenings", "a picnic basket", "fresh fruit salad", "the morning coffee",
    "a movie night", "clean clothes", "holiday cookies", "a summer cookout", "the pantry shelves", "a quick snack",
    "vegetable soup", "party drinks", "the bathroom sink", "a baby shower", "weekend pancakes", "the dog bowl",
    "an easy supper", "game day dips", "the camping trip", "a rainy afternoon", "homemade bread", "the spice rack",
    "a healthy diet", "road trip food", "the laundry room", "a quiet evening",
)  # fmt: skip
PLACES = ("at home", "with friends", "for guests", "every day", "on weekends", "after work", "in summer", "on a budget")

ODD_ONE_IN = 16
"""Of so many prompts one gets an answer that is cut, one an empty answer, and one an implausible answer."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """One candidate: its tokens, the logarithm of each one's probability, and whether ``max_tokens`` cut it."""

    tokens: tuple[str, ...]
    logprobs: tuple[float, ...]
    cut: bool

    @property
    def text(self) -> str:
        return "".join(self.tokens)


def answers(prompt: str, *, n: int, max_tokens: int, temperature: float, seed: int) -> tuple[Spoken, ...]:
    """All candidates for a prompt. At temperature 0 they are equal, as a real server's are."""
    if temperature == 0.0:
        return (_answer(prompt, max_tokens, ""),) * n
    return tuple(_answer(prompt, max_tokens, f"{seed}/{index}") for index in range(n))


def _answer(prompt: str, max_tokens: int, variant: str) -> Spoken:
    digits = xxhash.xxh3_64_intdigest(f"{prompt}\x1f{variant}".encode("utf-8", "surrogatepass"))
    oddity, digits = digits % ODD_ONE_IN, digits // ODD_ONE_IN
    words = _words(oddity, digits)
    base = 6.0 if oddity == 2 else 0.2 + (digits % 97) / 100
    logprobs = [-base - (digits >> index) % 7 / 50 for index in range(len(words))]
    cut = oddity == 0 or len(words) > max_tokens
    return Spoken(tuple(words[:max_tokens]), tuple(logprobs[:max_tokens]), cut)


def _words(oddity: int, digits: int) -> Sequence[str]:
    if oddity == 1:
        return ()
    verb, thing, place = VERBS[digits % 16], THINGS[digits // 16 % 32], PLACES[digits // 512 % 8]
    ending = "with the" if oddity == 0 else place
    return [f" {word}" for word in f"{verb} {thing} {ending}".split()]
