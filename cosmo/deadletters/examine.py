"""A dead letter looked at again: can it be read now, and would it be accepted?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from cosmo.deadletters.letter import Letter
from schemas.codec import Codec
from schemas.errors import BadRecord, Reason, SchemaFailure, Undecodable
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
    return examiner(source, registry)(letter, now)


def examiner(source: str, registry: SchemaLookup) -> Callable[[Letter, datetime], Examined]:
    """`examine` for many letters of one topic."""
    codec: Codec[Any] = Codec(source, BY_TOPIC[source], registry)
    return lambda letter, now: _examined(letter, codec, now)


def outlook(letters: Iterable[Letter], look: Callable[[Letter], Examined]) -> Iterator[tuple[Letter, Examined]]:
    """Each letter with its verdict. After the first `UNKNOWN` no other is looked at: a registry that does not answer
    takes many seconds to say so, for each letter anew."""
    unknown: Examined | None = None
    for letter in letters:
        found = unknown or look(letter)
        if found.verdict is Verdict.UNKNOWN:
            unknown = found
        yield letter, found


def _examined(letter: Letter, codec: Codec[Any], now: datetime) -> Examined:
    try:
        record = codec.decode(letter.value, letter.headers)
    except Undecodable as error:
        known = error.reason is not Reason.SCHEMA_NOT_LOOKED_UP
        return Examined(verdict=Verdict.REFUSED if known else Verdict.UNKNOWN, detail=str(error))
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
