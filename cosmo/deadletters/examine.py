"""A dead letter looked at again: can it be read now, and would it be accepted?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from cosmo.deadletters.letter import Letter
from schemas.codec import Codec
from schemas.errors import BadRecord, SchemaFailure
from schemas.records import BY_TOPIC, CoPurchase, QueryPurchase
from schemas.registry import SchemaLookup
from schemas.validate import check


class Verdict(StrEnum):
    """What would become of the letter if it were replayed now."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    READABLE = "readable"
    """It can be decoded; whether its worker can use it only the worker knows."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """``fields`` is the decoded record, None where it cannot be decoded; ``detail`` says what is wrong."""

    verdict: Verdict
    detail: str = ""
    fields: dict[str, Any] | None = None


def examine(letter: Letter, source: str, registry: SchemaLookup, now: datetime) -> Examined:
    """``source`` is the topic's bare name. Never raises for what the letter or the registry is like."""
    codec: Codec[Any] = Codec(source, BY_TOPIC[source], registry)
    try:
        record = codec.decode(letter.value, letter.headers)
    except BadRecord as error:
        return Examined(verdict=Verdict.REFUSED, detail=str(error))
    except SchemaFailure as error:
        return Examined(verdict=Verdict.UNKNOWN, detail=str(error))
    fields = asdict(record)
    if not isinstance(record, QueryPurchase | CoPurchase):
        return Examined(verdict=Verdict.READABLE, fields=fields)
    try:
        check(record, now)  # type: ignore[type-var]  # it is one or the other
    except BadRecord as error:
        return Examined(verdict=Verdict.REFUSED, detail=str(error), fields=fields)
    return Examined(verdict=Verdict.ACCEPTED, fields=fields)
