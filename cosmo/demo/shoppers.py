"""How a simulated shopper goes through a page of results: looks from the top, clicks, carries, buys; and errs.

The products that are bought are those of the real basket; everything else here is made up, and its figures are not
measured anywhere. They only have to be of the shape that rates, bounds and filters meet in real logs: position bias,
clicks that lead nowhere, carts that are left, purchases that nobody's query explains.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from cosmo.demo.catalogue import Catalogue, Item
from cosmo.demo.queries import Query
from schemas.records import Action

RESULTS = (4, 5, 6, 7, 8)
EXAMINED = (1.0, 0.85, 0.7, 0.58, 0.48, 0.4, 0.34, 0.3)
"""Chance that a shopper looks at a position at all (position bias); by position, from the top."""
CLICK_WANTED, CART_WANTED, BUY_WANTED = 0.95, 0.9, 0.92
CLICK_OTHER, CART_OTHER, BUY_OTHER = 0.12, 0.12, 0.05
NEIGHBOUR = 0.25
"""Share of results that come from the category instead of the type."""
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Step:
    """``after_s``: seconds since the search."""

    after_s: float
    action: Action
    item: Item


def results(wanted: Item, query: Query, catalogue: Catalogue, rng: random.Random) -> list[Item]:
    """The page of distinct products that the shop shows, the wanted one among them and more often at the top."""
    page = [wanted]
    for _ in range(rng.choice(RESULTS) - 1):
        for _ in range(_TRIES):
            item = _another(wanted, query, catalogue, rng)
            if item not in page:
                page.append(item)
                break
    page.insert(min(int(rng.expovariate(0.7)), len(page) - 1), page.pop(0))
    return page


def walk(page: Sequence[Item], wanted: Item, basket: Collection[Item], rng: random.Random) -> Iterator[Step]:
    """What the shopper does, in the order of time. The wanted product is found wherever it stands."""
    at_s = 0.0
    for item in page:
        yield Step(at_s, Action.IMPRESSION, item)
    for item, examined in zip(page, EXAMINED, strict=False):
        known = item is wanted or item in basket
        click, cart, buy = (CLICK_WANTED, CART_WANTED, BUY_WANTED) if known else (CLICK_OTHER, CART_OTHER, BUY_OTHER)
        if rng.random() > click * (1.0 if item is wanted else examined):
            continue
        at_s += rng.uniform(2, 20)
        yield Step(at_s, Action.CLICK, item)
        if rng.random() < cart:
            at_s += rng.uniform(2, 30)
            yield Step(at_s, Action.ADD_TO_CART, item)
            if rng.random() < buy:
                at_s += rng.uniform(20, 200)
                yield Step(at_s, Action.PURCHASE, item)


def _another(wanted: Item, query: Query, catalogue: Catalogue, rng: random.Random) -> Item:
    if query.shown:
        shelf = catalogue.by_category.get(rng.choice(query.shown))
    elif rng.random() < NEIGHBOUR:
        shelf = catalogue.by_category[wanted.category_text]
    else:
        shelf = catalogue.by_type[wanted.type_text]
    return shelf.pick(rng) if shelf else wanted
