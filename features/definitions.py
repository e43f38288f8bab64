"""The Feast repository: entities, feature views and feature services, made from ``features/views.py``.

``cosmo features apply`` registers them; the directory it writes works with Feast's own commands (``feast serve``).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Array, Float64, Int64, String, UnixTimestamp

from features.views import JOIN_KEYS, SERVICES, VIEWS, Kind, View
from schemas.records import EntityKind

TYPES: dict[Kind, Any] = {
    Kind.STRING: String,
    Kind.STRINGS: Array(String),
    Kind.DOUBLE: Float64,
    Kind.DOUBLES: Array(Float64),
    Kind.INTS: Array(Int64),
    Kind.INSTANT: UnixTimestamp,
}

query = Entity(
    name=JOIN_KEYS[EntityKind.QUERY],
    join_keys=[JOIN_KEYS[EntityKind.QUERY]],
    value_type=ValueType.STRING,
    description="A query, normalized and masked as ingest does it.",
)
product = Entity(
    name="product",
    join_keys=[JOIN_KEYS[EntityKind.PRODUCT]],
    value_type=ValueType.STRING,
    description="A product, by the shop's identifier.",
)
_ENTITIES = {EntityKind.QUERY: query, EntityKind.PRODUCT: product}


def _feature_view(view: View) -> FeatureView:
    return FeatureView(
        name=view.name,
        description=view.doc,
        entities=[_ENTITIES[view.entity]],
        # 0: no limit. Feast would not apply one to online reads (#6821); the look-up API says how old a value is.
        ttl=timedelta(0),
        schema=[
            Field(name=view.join_key, dtype=String),
            *(Field(name=one.name, dtype=TYPES[one.kind], description=one.doc) for one in view.features),
        ],
        source=FileSource(
            name=f"{view.name}_history",
            path=f"offline/{view.name}",  # relative to the repository's directory
            timestamp_field="event_timestamp",
        ),
    )


_feature_views = {view: _feature_view(view) for view in VIEWS}


def _service(name: str) -> FeatureService:
    parts: list[Any] = [_feature_views[view][list(features)] for view, features in SERVICES[name]]
    return FeatureService(name=name, features=parts)


query_intents, product_intents, product_complements = (_feature_views[view] for view in VIEWS)
search_relevance_v1 = _service("search_relevance_v1")
recommendation_v1 = _service("recommendation_v1")
navigation_v1 = _service("navigation_v1")

OBJECTS = [
    query,
    product,
    query_intents,
    product_intents,
    product_complements,
    search_relevance_v1,
    recommendation_v1,
    navigation_v1,
]
