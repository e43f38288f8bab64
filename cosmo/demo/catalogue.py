"""The products of a window of baskets as shoppers see them, on shelves by type and by category."""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate

import orjson
import polars as pl

from cosmo.demo.titles import product_name, readable, title, titled

SHELF = 24
"""Products that a results page can show of a shelf: the best sellers. Shops rank by sales; a longer shelf would thin
the evidence for each pair of query and product."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A product. ``type_text`` and ``category_text`` are the catalogue's own; ``sold`` counts baskets of the window."""

    product_id: str
    type_text: str
    category_text: str
    name: str
    category: str
    title: str
    private: bool
    sold: int
    json: bytes
    """The product of a basket's event."""
    simulated_json: bytes
    """The product of a simulated event, whose attribute ``source`` says so."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """Products, best sellers first, and how often each is shown."""

    items: Sequence[Item]
    _cumulated: Sequence[float]

    @classmethod
    def of(cls, items: Iterable[Item]) -> Shelf:
        best = sorted(items, key=lambda item: (-item.sold, item.product_id))[:SHELF]
        return cls(best, list(accumulate(item.sold for item in best)))

    def pick(self, rng: random.Random) -> Item:
        """One product, by sales."""
        return self.items[bisect(self._cumulated, rng.random() * self._cumulated[-1])]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every item by its id, and the shelves by the catalogue's own texts."""

    items: dict[int, Item]
    by_type: dict[str, Shelf]
    by_category: dict[str, Shelf]

    @classmethod
    def of(cls, products: pl.DataFrame) -> Catalogue:
        """From the products of a `baskets.Window`."""
        items = {row["product_id"]: _item(row) for row in products.iter_rows(named=True)}
        return cls(
            items,
            _shelves(items.values(), lambda item: item.type_text),
            _shelves(items.values(), lambda item: item.category_text),
        )


def _shelves(items: Iterable[Item], key: Callable[[Item], str]) -> dict[str, Shelf]:
    grouped: dict[str, list[Item]] = {}
    for item in items:
        grouped.setdefault(key(item), []).append(item)
    return {name: Shelf.of(group) for name, group in grouped.items()}


_name = cache(product_name)
_readable = cache(readable)


def _item(row: dict[str, object]) -> Item:
    type_text, category_text, size = str(row["product_type"]), str(row["product_category"]), row["size"]
    name, private = _name(type_text, category_text), bool(row["private"])
    product = {
        "product_id": str(row["product_id"]),
        "title": title(name, size=str(size) if size else None, private=private),
        "product_type": name,
        "category": titled(_readable(category_text)),
    }
    attributes = {"catalogue_type": type_text, "department": str(row["department"])}
    return Item(
        product_id=product["product_id"],
        type_text=type_text,
        category_text=category_text,
        name=name,
        category=product["category"],
        title=product["title"],
        private=private,
        sold=int(str(row["sold"])),
        json=_json(product | {"attributes": attributes | {"source": "completejourney"}}),
        simulated_json=_json(product | {"attributes": attributes | {"source": "simulated"}}),
    )


def _json(document: dict[str, object]) -> bytes:
    """In as many bytes as it has: what orjson returns holds 4 kB however short it is, which would be 250 MB here."""
    return bytes(memoryview(orjson.dumps(document)))
