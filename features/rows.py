"""An entity's state as feature values, and back.

The features are the merge base: everything that a merge needs is stored, so a writer keeps no state of its own.
``state_of(row_of(...), reserve_of(...), ...)`` is the state again, except for figures that JSON and Feast cannot carry
(NaN, infinity), which are left out as unknown. A list of Feast holds no null either: of what may be unknown in one
(typicality), NaN stands for it there, and null everywhere else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias, cast

import orjson

from features.entities import other_product
from features.merge import Edition, EntityState, milliseconds
from features.phrases import phrase
from features.views import PRODUCT_COMPLEMENTS, View
from schemas.records import HeadKind, Intent, Product

Value: TypeAlias = str | float | datetime | Sequence[str] | Sequence[float] | Sequence[int] | None
Row: TypeAlias = Mapping[str, Value]
"""Feature name → value; None is null."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def row_of(view: View, entity_key: str, state: EntityState) -> dict[str, Value]:
    """Every feature of the view."""
    makers = _COMPLEMENT_FEATURES if view is PRODUCT_COMPLEMENTS else _INTENT_FEATURES
    newest_first = sorted(state.entries, key=_age, reverse=True)
    return {name: makers[name](entity_key, state.entries, newest_first) for name in view.names}


def state_of(row: Row, reserve: str, retracted: Mapping[str, Edition]) -> EntityState:
    """The state behind what ``row_of`` and ``reserve_of`` made; nothing is the empty state."""
    columns = [cast("Sequence[Any]", row.get(name) or ()) for name in _BASE]
    return EntityState(
        entries=tuple(_intent(values) for values in zip(*columns, strict=True)),
        reserve=tuple(_intent(values) for values in orjson.loads(reserve or "[]")),
        retracted=retracted,
    )


def reserve_of(state: EntityState) -> str:
    """The evidence in reserve as JSON: of each the values of its row's base features."""
    newest_first: Sequence[Intent] = ()
    columns = [_INTENT_FEATURES[name]("", state.reserve, newest_first) for name in _BASE]
    return orjson.dumps(list(zip(*cast("list[Sequence[Any]]", columns), strict=True))).decode()


def _age(intent: Intent) -> tuple[datetime, str, str]:
    return (intent.generated_time, intent.pair_id, intent.intent_id)


_Maker: TypeAlias = Callable[[str, Sequence[Intent], Sequence[Intent]], Value]
"""Entity key, entries best first, entries newest first → value."""

_BASE = (
    "intent_ids",
    "pair_ids",
    "relations",
    "tails",
    "plausibility",
    "typicality",
    "support",
    "event_times_ms",
    "generated_times_ms",
    "template_ids",
    "model_ids",
    "evidence",
)


def _intent(values: Sequence[Any]) -> Intent:
    entry = dict(zip(_BASE, values, strict=True))
    rest = orjson.loads(entry["evidence"])
    return Intent(
        intent_id=entry["intent_ids"],
        pair_id=entry["pair_ids"],
        head_kind=HeadKind(rest["head_kind"]),
        head=rest["head"],
        query=rest["query"],
        products=tuple(Product(**product) for product in rest["products"]),
        relation=entry["relations"],
        tail=entry["tails"],
        tail_key=rest["tail_key"],
        plausibility=entry["plausibility"],
        typicality=judged(entry["typicality"]),
        support=entry["support"],
        event_time=_EPOCH + timedelta(milliseconds=entry["event_times_ms"]),
        generated_time=_EPOCH + timedelta(milliseconds=entry["generated_times_ms"]),
        template_id=entry["template_ids"],
        model_id=entry["model_ids"],
        specificity=rest["specificity"],
        product_types=tuple(rest["product_types"]),
        scores=rest["scores"],
    )


def judged(score: float | None) -> float | None:
    """A score as it stands in a list of Feast, or (null) in the reserve's JSON; None where nothing has judged it."""
    return _finite(score)


def _evidence(intent: Intent) -> str:
    """What the other features do not tell of an intent."""
    document = {
        "head_kind": intent.head_kind,
        "head": intent.head,
        "query": intent.query,
        "products": [_product(product) for product in intent.products],
        "tail_key": intent.tail_key,
        "specificity": _finite(intent.specificity),
        "product_types": list(intent.product_types),
        "scores": {name: score for name, score in sorted(intent.scores.items()) if math.isfinite(score)},
    }
    return orjson.dumps(document).decode()


def _product(product: Product) -> dict[str, str | None]:
    return {
        "product_id": product.product_id,
        "title": product.title,
        "product_type": product.product_type,
        "category": product.category,
    }


def _finite(figure: float | None) -> float | None:
    return figure if figure is not None and math.isfinite(figure) else None


def _each(field: Callable[[Intent], Any]) -> _Maker:
    return lambda _key, best, _newest: [field(intent) for intent in best]


def _newest(field: Callable[[Intent], Any]) -> _Maker:
    """From the newest entry that knows it; None when none does."""
    return lambda _key, _best, newest: next((found for intent in newest if (found := field(intent)) is not None), None)


def _self(field: Callable[[Product], str | None]) -> _Maker:
    def value(key: str, _best: Sequence[Intent], newest: Sequence[Intent]) -> str | None:
        seen = (product for intent in newest for product in intent.products if product.product_id == key)
        return next((found for product in seen if (found := field(product))), None)

    return value


def _other(field: Callable[[Product], str | None]) -> _Maker:
    return lambda key, best, _newest: [field(other_product(intent, key)) or "" for intent in best]


def _subcategories(key: str, best: Sequence[Intent], newest: Sequence[Intent]) -> list[str]:
    product_type = _self(lambda product: product.product_type)(key, best, newest)
    return [f"{product_type} {phrase(intent.relation, intent.tail)}" for intent in best] if product_type else []


def _product_types(_key: str, _best: Sequence[Intent], newest: Sequence[Intent]) -> list[str]:
    return next((list(intent.product_types) for intent in newest if intent.product_types), [])


_INTENT_FEATURES: dict[str, _Maker] = {
    "intents": _each(lambda intent: phrase(intent.relation, intent.tail)),
    "relations": _each(lambda intent: intent.relation),
    "tails": _each(lambda intent: intent.tail),
    "plausibility": _each(lambda intent: intent.plausibility),
    "typicality": _each(lambda intent: math.nan if intent.typicality is None else intent.typicality),
    "support": _each(lambda intent: intent.support),
    "updated_at": _newest(lambda intent: intent.generated_time.replace(microsecond=0)),
    "model": _newest(lambda intent: intent.model_id),
    "title": _self(lambda product: product.title),
    "product_type": _self(lambda product: product.product_type),
    "product_types": _product_types,
    "subcategories": _subcategories,
    "specificity": _newest(lambda intent: _finite(intent.specificity)),
    "intent_ids": _each(lambda intent: intent.intent_id),
    "pair_ids": _each(lambda intent: intent.pair_id),
    "template_ids": _each(lambda intent: intent.template_id),
    "model_ids": _each(lambda intent: intent.model_id),
    "event_times_ms": _each(lambda intent: milliseconds(intent.event_time)),
    "generated_times_ms": _each(lambda intent: milliseconds(intent.generated_time)),
    "evidence": _each(_evidence),
}
_COMPLEMENT_FEATURES: dict[str, _Maker] = {
    **_INTENT_FEATURES,
    "complements": _other(lambda product: product.product_id),
    "complement_titles": _other(lambda product: product.title),
    "complement_types": _other(lambda product: product.product_type),
}
