"""Rows that are due, with the texts and products that the state knows, as records."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import polars as pl

from schemas.records import BehaviorPair, Product
from streams.blocks import HeadCode
from streams.sampling.pairs import behavior_pair
from streams.state.partition import PartitionState


def describable(state: PartitionState, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of which the state still knows both ends. It may have forgotten one since the rows were listed: the
    horizon moves on with every block, and what has left it is judged anew a little later."""
    products = _products(state, rows)["product"]
    heads = pl.concat([products, _queries(state, rows)["head"]])
    return rows.filter(pl.col("other").is_in(products.implode()) & pl.col("head").is_in(heads.implode()))


def described(state: PartitionState, rows: pl.DataFrame, now: datetime) -> list[BehaviorPair]:
    """One record for each row of `Board.due` that is `describable`, in the same order."""
    queries = dict(_queries(state, rows).iter_rows())
    products = {row["product"]: row for row in _products(state, rows).iter_rows(named=True)}
    return [_record(row, queries.get(row["head"]), products, now) for row in rows.iter_rows(named=True)]


def _queries(state: PartitionState, rows: pl.DataFrame) -> pl.DataFrame:
    return state.texts(rows["head"]).filter(pl.col("kind") == HeadCode.QUERY).select("head", "text")


def _products(state: PartitionState, rows: pl.DataFrame) -> pl.DataFrame:
    return state.products(pl.concat([rows["head"], rows["other"]])).drop_nulls("title")


def _record(row: dict[str, Any], query: str | None, products: dict[int, dict[str, Any]], now: datetime) -> BehaviorPair:
    ends = [products[row["other"]]] if query is not None else [products[row["head"]], products[row["other"]]]
    times_ms = min(end["event_time"] for end in ends)
    ordered = sorted((_product(end) for end in ends), key=lambda product: product.product_id)
    return behavior_pair(row | {"query": query, "product_time_ms": times_ms}, tuple(ordered), now)


def _product(row: dict[str, Any]) -> Product:
    return Product(
        product_id=row["product_id"], title=row["title"], product_type=row["product_type"], category=row["category"]
    )
