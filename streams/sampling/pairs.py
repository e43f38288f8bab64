"""From a row that qualified to the record that goes to the model."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import xxhash

from schemas.records import BehaviorPair, PairKind, Product, SampleReason
from streams.sampling.evaluate import FIGURES

_SEPARATOR = "\x1f"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def pair_id(kind: PairKind, query: str | None, product_ids: tuple[str, ...]) -> str:
    """32 hexadecimal digits of what the pair is, so that asking twice names the same pair twice."""
    return xxhash.xxh3_128_hexdigest(_SEPARATOR.join((kind, query or "", *product_ids)).encode())


def behavior_pair(row: Mapping[str, Any], products: tuple[Product, ...], now: datetime) -> BehaviorPair:
    """The record of one released row. ``products`` in order of product_id; ``row["query"]`` is null for a co-buy."""
    kind = PairKind.CO_BUY if row["query"] is None else PairKind.SEARCH_BUY
    ids = tuple(product.product_id for product in products)
    return BehaviorPair(
        pair_id=pair_id(kind, row["query"], ids),
        kind=kind,
        query=row["query"],
        products=products,
        event_time=newest_event(row["last_bucket"], row["product_time_ms"]),
        sampled_time=now,
        support=row["support"],
        reason=SampleReason(row["reason"]),
        priority=row["priority"],
        specificity=row["specificity"],
        product_types=tuple(row["product_types"] or ()),
        evidence={name: float(row[name]) for name in FIGURES if row[name] is not None},
    )


def newest_event(last_bucket: int, product_time_ms: int) -> datetime:
    """Bound on the time of the newest event that supports a pair: that event was not later. The state knows the day of
    the pair's newest fact, and of each product its newest event whatsoever; the earliest of these ends it is."""
    day_end = _EPOCH + timedelta(days=last_bucket + 1, milliseconds=-1)
    return min(day_end, _EPOCH + timedelta(milliseconds=product_time_ms))
