"""What the shopper of a simulated search types: made of the words of the product that ends up in the basket."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from cosmo.demo.catalogue import Item
from cosmo.demo.titles import readable
from cosmo.demo.words import Speech, speech

MISSPELLED = 0.05
"""Share of searches with one slip of the finger."""
PERSONAL = 0.004
"""Share of searches into which somebody pasted an e-mail address or a telephone number."""


class Breadth(StrEnum):
    """How much a query leaves open."""

    OCCASION = "occasion"
    BROAD = "broad"
    TYPE = "type"
    SPECIFIC = "specific"


SHARES = {Breadth.OCCASION: 0.12, Breadth.BROAD: 0.2, Breadth.TYPE: 0.5, Breadth.SPECIFIC: 0.18}

_BREADTHS, _WEIGHTS = tuple(SHARES), tuple(SHARES.values())
_FIRST, _LAST = ("anna", "ben", "chris", "dana", "eli", "fay"), ("smith", "garcia", "lee", "brown", "khan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """``shown``: the categories whose shelves answer it; none when the product's own type does."""

    text: str
    breadth: Breadth
    shown: Sequence[str] = ()


@dataclass(slots=True)
class Queries:
    """Makes queries; remembers what it has derived for each type and category."""

    speech: Speech = field(default_factory=speech)
    _spoken: dict[str, Sequence[str]] = field(default_factory=dict)
    _broad: dict[str, Sequence[str]] = field(default_factory=dict)
    _occasions: dict[str, list[tuple[str, Sequence[str]]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for occasion, categories in self.speech.occasions.items():
            for category in categories:
                self._occasions.setdefault(category, []).append((occasion, categories))

    def query_for(self, item: Item, rng: random.Random) -> Query:
        """A query that leads to the item; now and then misspelled, or with personal data in it."""
        query = self._written_well(item, rng)
        text = query.text
        if rng.random() < MISSPELLED:
            text = misspelled(text, rng)
        if rng.random() < PERSONAL:
            text = f"{text} {_personal(rng)}"
        return replace(query, text=text)

    def _written_well(self, item: Item, rng: random.Random) -> Query:
        breadth = rng.choices(_BREADTHS, _WEIGHTS)[0]
        if breadth is Breadth.OCCASION and item.category_text in self._occasions:
            text, shown = rng.choice(self._occasions[item.category_text])
            return Query(text=text, breadth=breadth, shown=shown)
        if breadth is Breadth.BROAD:
            text = _usual(self.words_for_category(item.category_text), rng)
            return Query(text=text, breadth=breadth, shown=(item.category_text,))
        text = _usual(self.words_for_type(item), rng)
        if breadth is Breadth.SPECIFIC:
            return Query(text=_specific(text, item, rng), breadth=breadth)
        return Query(text=text, breadth=Breadth.TYPE)

    def words_for_type(self, item: Item) -> Sequence[str]:
        """How people say the item's type, most usual first."""
        found = self._spoken.get(item.name)
        if found is None:
            found = self.speech.spoken.get(item.type_text) or (typed(item.name, self.speech.fillers),)
            self._spoken[item.name] = found
        return found

    def words_for_category(self, category_text: str) -> Sequence[str]:
        """How people say the category."""
        found = self._broad.get(category_text)
        if found is None:
            derived = typed(readable(re.split(r"[/-]", category_text)[0]), self.speech.fillers)
            found = self._broad[category_text] = self.speech.broad.get(category_text) or (derived,)
        return found


def typed(name: str, fillers: frozenset[str]) -> str:
    """The words of a name that people would type: those before the first comma or ampersand, without fillers."""
    head = re.split(r",| & | and ", name)[0].lower()
    kept = [word for word in head.split() if word not in fillers]
    return " ".join(kept) or head


def misspelled(text: str, rng: random.Random) -> str:
    """One letter doubled, left out, or exchanged with the next; never the first, and short queries stay as they are."""
    if len(text) < 5:
        return text
    at = rng.randrange(1, len(text) - 1)
    slips = (text[at] * 2 + text[at + 1], text[at + 1], text[at + 1] + text[at])
    return text[:at] + rng.choice(slips) + text[at + 2 :]


def _usual(words: Sequence[str], rng: random.Random) -> str:
    """The first half of the time, the others more rarely the later they stand."""
    for word in words[:-1]:
        if rng.random() < 0.5:
            return word
    return words[-1]


def _specific(text: str, item: Item, rng: random.Random) -> str:
    """With the size, the shop's brand, or what stands after the first comma of the product's name."""
    _, _, size = item.title.partition(", ")
    options = [f"store brand {text}"] if item.private else []
    parts = item.title.split(", ")
    if len(parts) > 1 and parts[-1] != "Store Brand":
        options.append(f"{text} {parts[-1].lower()}")
    if ", " in item.name:
        options.append(f"{item.name.split(', ')[1].lower()} {text}")
    return rng.choice(options) if options and size else text


def _personal(rng: random.Random) -> str:
    """Made up, and of kinds that nobody can own: example.com, and the 555-01xx numbers."""
    if rng.random() < 0.5:
        return f"{rng.choice(_FIRST)}.{rng.choice(_LAST)}@example.com"
    return f"+1 {rng.randrange(200, 990)} 555 01{rng.randrange(100):02}"
