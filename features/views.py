"""The feature views by name and type: the one list behind Feast's definitions, the writer and the look-ups.

Lists of one row run parallel: entry *i* of each describes the same intent, best first. Null means unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from schemas.records import EntityKind


class Kind(Enum):
    """A feature's type; the value is the field of Feast's Value message that carries it."""

    STRING = "string_val"
    STRINGS = "string_list_val"
    DOUBLE = "double_val"
    DOUBLES = "double_list_val"
    INTS = "int64_list_val"
    INSTANT = "unix_timestamp_val"
    """Aware UTC, whole seconds: Feast keeps no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One feature of a view."""

    name: str
    kind: Kind
    doc: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class View:
    """One feature view; ``entity`` is also the kind of entity whose key is the join key. Compared by identity."""

    name: str
    entity: EntityKind
    doc: str
    features: tuple[Feature, ...]

    @property
    def join_key(self) -> str:
        return JOIN_KEYS[self.entity]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(feature.name for feature in self.features)


JOIN_KEYS = {EntityKind.QUERY: "query", EntityKind.PRODUCT: "product_id"}


def _feature(name: str, kind: Kind, doc: str) -> Feature:
    return Feature(name=name, kind=kind, doc=doc)


_INTENTS = (
    _feature("intents", Kind.STRINGS, "Readable phrases, such as 'used for biking', best first."),
    _feature("relations", Kind.STRINGS, "Relation of each intent; with `tails`, the key-value pairs by relation."),
    _feature("tails", Kind.STRINGS, "What the model said, cleaned."),
    _feature("plausibility", Kind.DOUBLES, "0 to 1."),
    _feature("typicality", Kind.DOUBLES, "0 to 1; NaN where nothing has judged it: a list of Feast holds no null."),
    _feature("support", Kind.INTS, "Distinct purchasing sessions of the pair that is the evidence, when it was asked."),
    _feature("updated_at", Kind.INSTANT, "When the newest of these intents was generated."),
    _feature("model", Kind.STRING, "Model that generated the newest of these intents."),
)
_PROVENANCE = (
    _feature("intent_ids", Kind.STRINGS, "Hash of head, relation and normalized tail."),
    _feature("pair_ids", Kind.STRINGS, "Behaviour pair that is the evidence."),
    _feature("template_ids", Kind.STRINGS, "Prompt template and its version."),
    _feature("model_ids", Kind.STRINGS, "Model that answered."),
    _feature(
        "event_times_ms", Kind.INTS, "No event behind each pair is newer; to the day. Milliseconds since 1970 UTC."
    ),
    _feature("generated_times_ms", Kind.INTS, "When the model answered, milliseconds since 1970 UTC."),
    _feature("evidence", Kind.STRINGS, "JSON: the pair itself, and every score that a filter gave."),
)
_PRODUCT = (
    _feature("title", Kind.STRING, "The product's title as last seen."),
    _feature("product_type", Kind.STRING, "The product's type as last seen; null when unknown."),
)

QUERY_INTENTS = View(
    name="query_intents",
    entity=EntityKind.QUERY,
    doc="Why shoppers search this: intents of a normalized query, from what was bought after it.",
    features=(
        *_INTENTS,
        _feature("product_types", Kind.STRINGS, "Product types bought after this query, most frequent first."),
        _feature("specificity", Kind.DOUBLE, "How narrow the query is, 0 (broad) to 1; null when unknown."),
        *_PROVENANCE,
    ),
)
PRODUCT_INTENTS = View(
    name="product_intents",
    entity=EntityKind.PRODUCT,
    doc="Why shoppers buy this product, from the searches that led to it.",
    features=(
        *_INTENTS,
        *_PRODUCT,
        _feature("subcategories", Kind.STRINGS, "Type and intent together, such as 'umbrella used for biking'."),
        *_PROVENANCE,
    ),
)
PRODUCT_COMPLEMENTS = View(
    name="product_complements",
    entity=EntityKind.PRODUCT,
    doc="What is bought with this product, and why; one entry for each complement.",
    features=(
        _feature("complements", Kind.STRINGS, "Product ids, best first."),
        _feature("complement_titles", Kind.STRINGS, "Their titles."),
        _feature("complement_types", Kind.STRINGS, "Their product types; empty when unknown."),
        *_INTENTS,
        *_PRODUCT,
        *_PROVENANCE,
    ),
)

VIEWS = (QUERY_INTENTS, PRODUCT_INTENTS, PRODUCT_COMPLEMENTS)

SERVICES: dict[str, tuple[tuple[View, tuple[str, ...]], ...]] = {
    "search_relevance_v1": (
        (
            QUERY_INTENTS,
            ("intents", "relations", "tails", "plausibility", "typicality", "support", "product_types", "specificity"),
        ),
        (PRODUCT_INTENTS, ("intents", "relations", "tails", "plausibility", "typicality", "support", "subcategories")),
    ),
    "recommendation_v1": (
        (PRODUCT_COMPLEMENTS, ("complements", "complement_titles", "intents", "plausibility", "typicality", "support")),
        (PRODUCT_INTENTS, ("intents", "relations", "tails", "support")),
    ),
    "navigation_v1": (
        (QUERY_INTENTS, ("intents", "relations", "tails", "support", "product_types", "specificity", "updated_at")),
    ),
}
"""Feature services by name. A name ends in its version: what a service holds never changes, a new one is added."""
