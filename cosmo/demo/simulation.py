"""The whole input of the demonstration: real orders, and searches simulated over the same baskets, as lines.

Everything follows from the baskets, the seed and the instant that counts as now: the same three give the same bytes,
and each basket's events do not depend on the others. An event sent twice therefore has the same id both times.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from cosmo.demo import shoppers
from cosmo.demo.baskets import Window, pseudonym, window
from cosmo.demo.catalogue import Catalogue, Item
from cosmo.demo.flaws import SHARE, Flaw, spoiled
from cosmo.demo.lines import as_json, order_line, search_line
from cosmo.demo.queries import Queries
from streams import topics

SEARCHED = 0.085
"""Share of a basket's lines that somebody searched for before. With it 20,000 baskets make more than 150,000 events."""
SENT_TWICE = 0.003
"""Share of lines that arrive a second time, as from a producer that retries."""

SEARCHES, ORDERS = topics.QUERY_PURCHASE.name, topics.CO_PURCHASE.name


class Line(NamedTuple):
    """One line of NDJSON, without its end. ``flaw`` is None for a good one."""

    value: bytes
    flaw: Flaw | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Basket:
    """One real basket. ``session_id`` names the visit; nobody can tell that two visits are of one household."""

    number: int
    session_id: str
    time: datetime
    items: list[Item]


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """Lines of each input topic, in the order of the baskets' time. Iterators begin at once and hold nothing."""

    seed: int
    baskets: int
    catalogue: Catalogue
    _window: Window

    @classmethod
    def over(cls, *, baskets: int, seed: int, now: datetime) -> Simulation:
        """Reads the data, which takes a second. Raises DataMissing."""
        found = window(baskets, now)
        return cls(seed=seed, baskets=found.baskets.height, catalogue=Catalogue.of(found.products), _window=found)

    def lines(self, topic: str) -> Iterator[Line]:
        """The lines of ``query-purchase`` or ``co-purchase``."""
        return self.searches() if topic == SEARCHES else self.orders()

    def orders(self) -> Iterator[Line]:
        """One real order for each basket, and a few spoiled ones."""
        for basket in self._baskets():
            line = _order(basket)
            yield from _delivered(line, ORDERS, self._rng(ORDERS, basket))

    def searches(self) -> Iterator[Line]:
        """Simulated: what shoppers would have searched before they filled these baskets, and a few spoiled lines."""
        queries = Queries()
        for basket in self._baskets():
            rng = self._rng(SEARCHES, basket)
            for line in self._searches_of(basket, queries, rng):
                yield from _delivered(line, SEARCHES, rng)

    def _searches_of(self, basket: Basket, queries: Queries, rng: random.Random) -> Iterator[bytes]:
        number = 0
        for wanted in basket.items:
            if rng.random() >= SEARCHED:
                continue
            query = queries.query_for(wanted, rng)
            text = as_json(query.text)
            searched = basket.time - timedelta(seconds=rng.uniform(400, 3400))
            page = shoppers.results(wanted, query, self.catalogue, rng)
            for step in shoppers.walk(page, wanted, basket.items, rng):
                when = searched + timedelta(seconds=step.after_s)
                number += 1
                event_id = f"s{basket.session_id}-{number}"
                yield search_line(
                    event_id=event_id,
                    when=when,
                    session_id=basket.session_id,
                    query=text,
                    action=step.action,
                    product=step.item.simulated_json,
                )

    def _baskets(self) -> Iterator[Basket]:
        items = self.catalogue.items
        for number, household, time, product_ids in self._window.baskets.iter_rows():
            yield Basket(
                number=number,
                session_id=pseudonym("session", household, number),
                time=time,
                items=[items[product_id] for product_id in product_ids],
            )

    def _rng(self, purpose: str, basket: Basket) -> random.Random:
        return random.Random(f"{self.seed}/{purpose}/{basket.number}")


def _order(basket: Basket) -> bytes:
    order_id = pseudonym("order", basket.number)
    items = [item.json for item in basket.items]
    return order_line(
        event_id=f"o{order_id}", when=basket.time, session_id=basket.session_id, order_id=order_id, items=items
    )


def _delivered(line: bytes, topic: str, rng: random.Random) -> Iterator[Line]:
    """The line; now and then a second time, or followed by a spoiled copy."""
    yield Line(line)
    dice = rng.random()
    if dice < SENT_TWICE:
        yield Line(line)
    elif dice < SENT_TWICE + SHARE:
        yield Line(*spoiled(line, topic, rng))
