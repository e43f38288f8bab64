"""Sessions as orders and searches, and the tables that ingest makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl

from streams.blocks import FactAction
from streams.ingest.facts import DAY_MS, Combined, from_orders, from_searches

TODAY = 20_000
"""A bucket: 2024-10-04."""

_PRODUCT = pl.Struct({"product_id": pl.String, "title": pl.String, "product_type": pl.String, "category": pl.String})
_ORDERS = pl.Schema([("event_time", pl.Int64()), ("session_id", pl.String()), ("items", pl.List(_PRODUCT))])
_SEARCHES = pl.Schema(
    {
        "event_time": pl.Int64,
        "session_id": pl.String,
        "query": pl.String,
        "action": pl.UInt8,
        "product_id": pl.String,
        "title": pl.String,
        "product_type": pl.String,
        "category": pl.String,
    }
)


def product(product_id: str) -> dict[str, str]:
    """A product of the type that its id begins with: ``tent-1`` is a tent."""
    return {
        "product_id": product_id,
        "title": product_id,
        "product_type": product_id.split("-", maxsplit=1)[0],
        "category": "outdoor",
    }


def orders(baskets: Iterable[Sequence[str]], *, day: int = TODAY, tag: str = "o") -> Combined:
    """One session for each basket of product ids."""
    rows = [
        {
            "event_time": day * DAY_MS + number,
            "session_id": f"{tag}{day}-{number}",
            "items": [product(each) for each in basket],
        }
        for number, basket in enumerate(baskets)
    ]
    return from_orders(pl.DataFrame(rows, schema=_ORDERS))


def searches(actions: Iterable[tuple[str, str, str, FactAction]], *, day: int = TODAY) -> Combined:
    """Rows of (session, query, product id, action)."""
    rows = [
        {"event_time": day * DAY_MS, "session_id": session, "query": query, "action": int(action)} | product(product_id)
        for session, query, product_id, action in actions
    ]
    return from_searches(pl.DataFrame(rows, schema=_SEARCHES))


def bought(
    query: str, product_id: str, sessions: int, *, shown: int = 0, tag: str = "s"
) -> list[tuple[str, str, str, FactAction]]:
    """``sessions`` sessions that searched, saw, clicked and bought; and until ``shown`` others that only saw."""
    rows: list[tuple[str, str, str, FactAction]] = []
    for number in range(max(sessions, shown)):
        name = f"{tag}-{number}"
        rows.append((name, query, product_id, FactAction.IMPRESSION))
        if number < sessions:
            rows += [(name, query, product_id, action) for action in (FactAction.CLICK, FactAction.PURCHASE)]
    return rows


def together(*parts: Combined) -> Combined:
    """What ingest makes of events that come in one fetch."""
    offsets = [sum(part.products["event"].n_unique() for part in parts[:number]) for number in range(len(parts))]

    def numbered(frame: pl.DataFrame, offset: int) -> pl.DataFrame:
        return frame.with_columns(pl.col("event") + offset)

    return Combined(
        facts=pl.concat([part.facts for part in parts]).unique(),
        heads=pl.concat([part.heads for part in parts]).unique("head"),
        products=pl.concat([numbered(part.products, by) for part, by in zip(parts, offsets, strict=True)]),
        event_heads=pl.concat([numbered(part.event_heads, by) for part, by in zip(parts, offsets, strict=True)]),
    )
