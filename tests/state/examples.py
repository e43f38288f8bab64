"""Blocks to feed the state with: small random ones that collide on purpose."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
from hypothesis import strategies as st

from streams.blocks import FACTS, HEADS, PRODUCTS, FactAction, HeadCode
from streams.ingest.facts import DAY_MS, Tables, newest

K = 3
HORIZON = 3
Fact = tuple[int, int, int, int, int]

PRODUCT_NUMBERS = range(10, 14)


def session(number: int) -> int:
    """Spread over the 64 bits as a hash would be, and distinct in the upper 46."""
    return (number * 0x9E3779B97F4A7C15) % 2**64


def tables(facts: Sequence[Fact]) -> Tables:
    """A block with these facts and the heads and products that they name, as ingest makes one."""
    rows = pl.DataFrame(list(facts), schema=FACTS, orient="row")
    heads = [(head, HeadCode.QUERY, f"q{head}") for head in {fact[0] for fact in facts}]
    products = [product(fact[1], fact[2]) for fact in facts]
    return Tables(
        facts=rows.unique(),
        heads=pl.DataFrame(heads, schema=HEADS, orient="row"),
        products=newest(pl.DataFrame(products, schema=PRODUCTS, orient="row")),
    )


def product(number: int, day: int) -> tuple[int, int, str, str, str | None, str | None]:
    """Its type changes from day to day, so that which row wins can be seen."""
    labels = None if day % 3 == 0 else f"type {day % 2}", None if day % 4 else "category"
    return (number, day * DAY_MS, f"p{number}", f"Product {number}", *labels)


def facts(actions: Sequence[FactAction] = tuple(FactAction), days: int = 7) -> st.SearchStrategy[Fact]:
    return st.tuples(
        st.integers(1, 3),
        st.sampled_from(PRODUCT_NUMBERS),
        st.integers(100, 100 + days),
        st.sampled_from([int(action) for action in actions]),
        st.integers(0, 12).map(session),
    )
