"""What a look-up answers: the models behind the HTTP API and ``cosmo lookup --json``. Null means unknown."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Status(StrEnum):
    """What an answer is worth."""

    FRESH = "fresh"
    STALE = "stale"
    """Older than COSMO_FEATURES_STALE_AFTER_S; served all the same."""
    PENDING = "pending"
    """Nothing yet, and the model has been asked. No answer has this status unless misses are passed on."""
    NONE = "none"
    """Nothing is known."""
    DAMAGED = "damaged"
    """Something is known, and its row cannot be read. Only within a batch; asked for alone it is refused."""


class _Model(BaseModel):
    """Lists are ``list``: a ``Sequence`` would be validated by Python, a third of the time that an answer takes."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="null")


class Refusal(_Model):
    """Why there is no answer, and what to do."""

    error: str
    advice: str = ""


class ShownProduct(_Model):
    """A product of the pair that is the evidence, as shoppers saw it."""

    product_id: str
    title: str
    product_type: str | None = None
    category: str | None = None


_SENTENCE = (
    "4 sessions had searched “rain gear” and bought “Windproof umbrella” when the model was asked; "
    "it answered on 2026-03-04."
)


class Why(_Model):
    """The evidence behind one intent."""

    sentence: Annotated[str, Field(examples=[_SENTENCE])]
    intent_id: Annotated[str, Field(description="Hash of head, relation and normalized tail.")]
    pair_id: Annotated[str, Field(description="The behaviour pair.")]
    query: Annotated[str | None, Field(description="The pair's query, normalized; null for products bought together.")]
    products: Annotated[list[ShownProduct], Field(description="The pair's products.")]
    specificity: Annotated[float | None, Field(description="Of the pair's query, 0 (broad) to 1.")]
    product_types: Annotated[list[str], Field(description="Types bought after the pair's query, as it was asked.")]
    template_id: Annotated[str, Field(description="Prompt template and its version.")]
    model_id: Annotated[str, Field(description="Model that answered.")]
    event_time: Annotated[
        datetime, Field(description="No event that supports the pair is newer; known to the day, UTC.")
    ]
    generated_time: Annotated[datetime, Field(description="When the model answered.")]
    scores: Annotated[dict[str, float], Field(description="Every score that a filter or critic gave.")]


class FoundIntent(_Model):
    """One intent."""

    text: Annotated[str, Field(examples=["used for walking the dog"])]
    relation: Annotated[str, Field(examples=["used_for_eve"])]
    tail: Annotated[str, Field(examples=["walking the dog"])]
    plausibility: Annotated[float, Field(description="0 to 1.")]
    typicality: Annotated[float | None, Field(description="0 to 1; null where nothing has judged it.")]
    support: Annotated[
        int,
        Field(description="Distinct purchasing sessions of the pair that is the evidence, when the model was asked."),
    ]
    why: Annotated[Why | None, Field(description="With explain=true.")] = None


class FoundComplement(FoundIntent):
    """A product bought with the one asked for, and the best reason for it."""

    product_id: str
    title: str | None = None
    product_type: str | None = None


class _Answer(_Model):
    status: Status
    age_s: Annotated[float | None, Field(description="Seconds since the newest of these intents was generated.")] = None
    updated_at: Annotated[datetime | None, Field(description="When that was, to the second, as Feast keeps it.")] = None
    model: Annotated[str | None, Field(description="Model that generated the newest of these intents.")] = None
    refusal: Annotated[
        Refusal | None, Field(description="With status damaged: which row cannot be read, and what to do.")
    ] = None


class QueryIntents(_Answer):
    """Why shoppers search this, best first: by support, age and typicality."""

    query: Annotated[str, Field(description="As it was looked up: normalized and masked as ingest does it.")]
    specificity: Annotated[float | None, Field(description="0 (broad) to 1 (narrow).")] = None
    product_types: list[str] = Field(
        default_factory=list, description="Types bought after this query, most frequent first."
    )
    intents: list[FoundIntent]


class _AboutProduct(_Answer):
    product_id: str
    title: Annotated[str | None, Field(description="As last seen.")] = None
    product_type: str | None = None


class ProductIntents(_AboutProduct):
    """Why shoppers buy this product, best first."""

    subcategories: list[str] = Field(default_factory=list, examples=[["umbrella used for walking the dog"]])
    intents: list[FoundIntent]


class ProductComplements(_AboutProduct):
    """What shoppers buy with this product and why, best first."""

    complements: list[FoundComplement]


class BatchAnswer(_Model):
    """One answer for each key asked, in the order asked."""

    queries: list[QueryIntents]
    products: list[ProductIntents]
    complements: list[ProductComplements]


Answer = QueryIntents | ProductIntents | ProductComplements
