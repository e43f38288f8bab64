"""How search events and orders become rows, by columns and by record, and which rows of a block are tried by record.

The rules of the input contract live in `schemas.validate` alone. Here is only the question "may any of them apply?",
asked of whole columns; `unusual` may say yes too often, which costs time, and never too seldom.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from schemas import validate
from schemas.errors import Reason, Refused
from schemas.records import Action, CoPurchase, Product, QueryPurchase
from schemas.text import INVISIBLE
from streams.blocks import FactAction
from streams.ingest.decode import Shape
from streams.text import normalize_query, normalized

_ITEM: dict[str, Any] = dict.fromkeys(("product_id", "title", "product_type", "category"), pl.String())
_SEARCH: dict[str, Any] = {
    "event_time": pl.Int64(),
    "session_id": pl.String(),
    "query": pl.String(),
    "action": pl.UInt8(),
}
_SEARCH_ROWS = pl.Schema(_SEARCH | _ITEM)
_ORDER_ROWS = pl.Schema({"event_time": pl.Int64(), "session_id": pl.String(), "items": pl.List(pl.Struct(_ITEM))})

_ACTIONS = {
    Action.IMPRESSION: FactAction.IMPRESSION,
    Action.CLICK: FactAction.CLICK,
    Action.ADD_TO_CART: FactAction.ADD_TO_CART,
    Action.PURCHASE: FactAction.PURCHASE,
}

_UNCLEAN = (
    r"[\x00-\x1f\x7f-\xa0\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]|^ | $|  |" + INVISIBLE
)
"""Anything that a repair would change or that an id must not hold."""


def _odd(text: pl.Expr, most_chars: int) -> pl.Expr:
    """Empty, too long, or not as a repair would leave it. Null is not odd."""
    length = text.str.len_chars()
    return ((length == 0) | (length > most_chars) | text.str.contains(_UNCLEAN)).fill_null(False)


def _odd_time(now: datetime) -> pl.Expr:
    time = pl.col("event_time")
    return (time < validate.EARLIEST) | (time > now + validate.MAX_AHEAD)


def _odd_product(product: pl.Expr) -> pl.Expr:
    field = product.struct.field
    return (
        _odd(field("product_id"), validate.MAX_ID_CHARS)
        | _odd(field("title"), validate.MAX_TITLE_CHARS)
        | _odd(field("product_type"), validate.MAX_LABEL_CHARS)
        | _odd(field("category"), validate.MAX_LABEL_CHARS)
    )


def _odd_ids(*names: str) -> pl.Expr:
    return pl.any_horizontal(_odd(pl.col(name), validate.MAX_ID_CHARS) for name in names)


def _unusual_searches(block: pl.DataFrame, now: datetime) -> pl.Series:
    product = pl.col("product").struct
    texts = [pl.col("event_id"), pl.col("session_id"), pl.col("query"), *(product.field(name) for name in _ITEM)]
    suspect = _suspect(block, texts)
    odd_text = (
        _odd_ids("event_id", "session_id")
        | _odd(pl.col("query"), validate.MAX_QUERY_CHARS)
        | (normalized(pl.col("query")) == "")
        | _odd_product(pl.col("product"))
    )
    odd = suspect.clone()
    if suspect.any():
        odd = odd.scatter(suspect.arg_true(), block.filter(suspect).select(odd=odd_text)["odd"])
    return odd | block.select(odd=_odd_time(now) | (pl.col("action").cast(pl.String) == Action.UNKNOWN))["odd"]


def _suspect(block: pl.DataFrame, texts: Sequence[pl.Expr]) -> pl.Series:
    """A first look at several texts at once, which lets plain ASCII pass: anything else, outer or double spaces, or a
    text that is empty or long makes the row worth a closer one."""
    parts = [part for text in texts for part in (_MARK, text.fill_null("-"))]
    long = pl.any_horizontal(text.str.len_bytes() > _SHORTEST_LIMIT for text in texts)
    seen = block.select(framed=pl.concat_str([*parts, _MARK]), long=long.fill_null(False))
    return seen["long"] | seen["framed"].str.contains(_ODD_SPACES) | _not_plain(seen["framed"], len(texts) + 1)


def _not_plain(framed: pl.Series, marks: int) -> pl.Series:
    """Which rows hold a byte that is neither printable ASCII nor one of their ``marks`` marks. A look at the bytes of
    all rows together; a regular expression takes ten times as long to say the same."""
    array = framed.to_arrow(compat_level=pl.CompatLevel.oldest())
    _, ends, data = (np.frombuffer(buffer or b"", np.uint8) for buffer in array.buffers())
    odd = np.flatnonzero((data - _FIRST) > _LAST - _FIRST)
    rows = np.zeros(len(framed), np.bool_)
    rows[np.searchsorted(ends.view(np.int64)[1:], odd, side="right")] = True
    if np.count_nonzero(data == _FIRST) != marks * len(framed):
        rows |= framed.str.count_matches(_MARK_TEXT, literal=True).to_numpy() != marks
    return pl.Series(rows)


_MARK_TEXT = "\x1f"
_MARK = pl.lit(_MARK_TEXT)
_FIRST, _LAST = np.uint8(0x1F), np.uint8(0x7E)
_ODD_SPACES = r"  |\x1f\x1f| \x1f|\x1f "
_SHORTEST_LIMIT = min(
    validate.MAX_ID_CHARS, validate.MAX_TITLE_CHARS, validate.MAX_LABEL_CHARS, validate.MAX_QUERY_CHARS
)


def _unusual_orders(block: pl.DataFrame, now: datetime) -> pl.Series:
    items, ids = pl.col("items"), pl.col("items").list.eval(pl.element().struct.field("product_id"))
    odd = (
        _odd_ids("event_id", "session_id", "order_id")
        | _odd_time(now)
        | ~items.list.len().is_between(validate.MIN_ITEMS, validate.MAX_ITEMS)
        | (ids.list.n_unique() != items.list.len())
        | items.list.eval(_odd_product(pl.element())).list.any()
    )
    return block.select(odd=odd)["odd"]


def _searches_from_block(block: pl.DataFrame) -> pl.DataFrame:
    actions = {str(name): int(code) for name, code in _ACTIONS.items()}
    return block.select(
        pl.col("event_time").dt.epoch("ms"),
        "session_id",
        "query",
        pl.col("action").cast(pl.String).replace_strict(actions, return_dtype=pl.UInt8),
        *(pl.col("product").struct.field(name) for name in _ITEM),
    )


def _orders_from_block(block: pl.DataFrame) -> pl.DataFrame:
    item = pl.struct(pl.element().struct.field(name) for name in _ITEM)
    return block.select(pl.col("event_time").dt.epoch("ms"), "session_id", pl.col("items").list.eval(item))


def _check_search(record: QueryPurchase, now: datetime) -> QueryPurchase:
    """The input contract, and that something is left of the query once it is normalized."""
    checked = validate.check(record, now)
    if not normalize_query(checked.query):
        raise Refused(Reason.EMPTY_QUERY, "query is empty once normalized")
    return checked


def _search_row(record: QueryPurchase) -> dict[str, Any]:
    return {
        "event_time": _millis(record.event_time),
        "session_id": record.session_id,
        "query": record.query,
        "action": int(_ACTIONS[record.action]),
        **_item(record.product),
    }


def _order_row(record: CoPurchase) -> dict[str, Any]:
    return {
        "event_time": _millis(record.event_time),
        "session_id": record.session_id,
        "items": [_item(item) for item in record.items],
    }


def _item(product: Product) -> dict[str, Any]:
    return {name: getattr(product, name) for name in _ITEM}


def _millis(instant: datetime) -> int:
    return round(instant.timestamp() * 1000)


SEARCHES: Shape[QueryPurchase] = Shape(
    rows=_SEARCH_ROWS,
    from_block=_searches_from_block,
    unusual=_unusual_searches,
    check=_check_search,
    from_record=_search_row,
)
ORDERS: Shape[CoPurchase] = Shape(
    rows=_ORDER_ROWS,
    from_block=_orders_from_block,
    unusual=_unusual_orders,
    check=validate.check,
    from_record=_order_row,
)
