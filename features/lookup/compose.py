"""From a row as it is stored to an answer. Pure: the clock's reading is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias, cast

import orjson

from features.errors import DamagedRow
from features.lookup.answers import (
    Answer,
    ProductComplements,
    ProductIntents,
    QueryIntents,
    Refusal,
    ShownProduct,
    Status,
    Why,
)
from features.lookup.sentences import because
from features.online import format as feast_format
from features.online.damage import reading
from features.online.store import Ref, Stored
from features.rows import Row, judged
from features.views import PRODUCT_COMPLEMENTS, PRODUCT_INTENTS, QUERY_INTENTS, VIEWS, View

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WHY_ONLY = frozenset({"intent_ids", "pair_ids", "template_ids", "model_ids", "event_times_ms", "evidence"})

PLAIN: Mapping[View, frozenset[str]] = {view: frozenset(view.names) - _WHY_ONLY for view in VIEWS}
"""The features that an answer without explanation needs, of each view."""
EXPLAINED: Mapping[View, frozenset[str]] = {view: frozenset(view.names) for view in VIEWS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What one answer depends on beside the row."""

    now: datetime
    stale_after_s: float
    explain: bool = False


def compose(ref: Ref, stored: Stored, asking: Asking) -> Answer:
    """The answer about one entity in one view; status ``none`` when nothing, or nothing any more, is known of it.

    Raises DamagedRow.
    """
    wanted = EXPLAINED if asking.explain else PLAIN
    with reading(ref, stored):
        row = feast_format.decode_row(ref.view, stored.fields, wanted[ref.view])
        return _COMPOSERS[ref.view](ref, row, asking)


def refused(ref: Ref, error: DamagedRow) -> Answer:
    """In the place of an answer, among the answers of a batch."""
    refusal = Refusal(error=error.what, advice=error.advice)
    if ref.view is QUERY_INTENTS:
        return QueryIntents(query=ref.key, status=Status.DAMAGED, refusal=refusal, intents=[])
    if ref.view is PRODUCT_INTENTS:
        return ProductIntents(product_id=ref.key, status=Status.DAMAGED, refusal=refusal, intents=[])
    return ProductComplements(product_id=ref.key, status=Status.DAMAGED, refusal=refusal, complements=[])


def judge(generated_times_ms: Sequence[int], asking: Asking) -> tuple[Status, float | None]:
    """Status and age in seconds. The age is that of the newest intent, not of the row: a store rebuilt from the log
    yesterday may hold what was thought last month."""
    if not generated_times_ms:
        return Status.NONE, None
    age_s = max(0.0, (asking.now - _instant(max(generated_times_ms))).total_seconds())
    return (Status.STALE if age_s > asking.stale_after_s else Status.FRESH), age_s


def _query_intents(ref: Ref, row: Row, asking: Asking) -> QueryIntents:
    own = {"query": ref.key, "specificity": row["specificity"], "product_types": _list(row, "product_types")}
    return QueryIntents.model_validate(own | _common(row, asking) | {"intents": _entries(row, asking)})


def _product_intents(ref: Ref, row: Row, asking: Asking) -> ProductIntents:
    own = _about(ref, row) | {"subcategories": _list(row, "subcategories")}
    return ProductIntents.model_validate(own | _common(row, asking) | {"intents": _entries(row, asking)})


def _product_complements(ref: Ref, row: Row, asking: Asking) -> ProductComplements:
    others = zip(*(_list(row, f"complement{name}") for name in ("s", "_titles", "_types")), strict=True)
    found = [
        entry | {"product_id": product_id, "title": title or None, "product_type": product_type or None}
        for (product_id, title, product_type), entry in zip(others, _entries(row, asking), strict=True)
    ]
    return ProductComplements.model_validate(_about(ref, row) | _common(row, asking) | {"complements": found})


_Composer: TypeAlias = Callable[[Ref, Row, Asking], Answer]
_COMPOSERS: Mapping[View, _Composer] = {
    QUERY_INTENTS: _query_intents,
    PRODUCT_INTENTS: _product_intents,
    PRODUCT_COMPLEMENTS: _product_complements,
}


def _common(row: Row, asking: Asking) -> dict[str, Any]:
    status, age_s = judge(_list(row, "generated_times_ms"), asking)
    return {"status": status, "age_s": age_s, "updated_at": row["updated_at"], "model": row["model"]}


def _about(ref: Ref, row: Row) -> dict[str, Any]:
    return {"product_id": ref.key, "title": row["title"], "product_type": row["product_type"]}


_PARALLEL = {
    "text": "intents",
    "relation": "relations",
    "tail": "tails",
    "plausibility": "plausibility",
    "typicality": "typicality",
    "support": "support",
}


def _entries(row: Row, asking: Asking) -> list[dict[str, Any]]:
    columns = [_list(row, feature) for feature in _PARALLEL.values()]
    entries: list[dict[str, Any]] = [dict(zip(_PARALLEL, values, strict=True)) for values in zip(*columns, strict=True)]
    for number, entry in enumerate(entries):
        entry["typicality"] = judged(entry["typicality"])
        if asking.explain:
            entry["why"] = _why(row, number)
    return entries


def _why(row: Row, number: int) -> Why:
    evidence = orjson.loads(_list(row, "evidence")[number])
    products = [ShownProduct(**product) for product in evidence["products"]]
    titles, support = [product.title for product in products], _list(row, "support")[number]
    answered = _instant(_list(row, "generated_times_ms")[number])
    return Why(
        sentence=because(evidence["query"], titles, support, answered),
        intent_id=_list(row, "intent_ids")[number],
        pair_id=_list(row, "pair_ids")[number],
        query=evidence["query"],
        products=products,
        specificity=evidence["specificity"],
        product_types=evidence["product_types"],
        template_id=_list(row, "template_ids")[number],
        model_id=_list(row, "model_ids")[number],
        event_time=_instant(_list(row, "event_times_ms")[number]),
        generated_time=answered,
        scores=evidence["scores"],
    )


def _list(row: Row, name: str) -> list[Any]:
    return cast("list[Any]", row[name] or [])


def _instant(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)
