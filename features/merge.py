"""The merge of new intents into an entity's features: a semilattice, so order, repetition and batching do not matter.

For each slot the best-ranked evidence is kept, and of the slots the best K. Cutting to K is exact: what falls out
could only come back with a better rank, and then it brings everything that is stored about it. This needs that the
versions of one pair's evidence never lose rank (support and event time only grow).

Retractions are kept too (the newest ``MAX_RETRACTIONS``): otherwise a late writer with an old record would bring a
retracted intent back. What a retraction leaves empty is filled by the next evidence, or by a rebuild from the log;
the runner-up of the past is not stored here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import orjson

from features.rank import RankRule
from schemas.records import Intent

MAX_RETRACTIONS = 64
"""Per entity and view; a few kilobytes. Beyond it the oldest retraction is forgotten."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Slot: TypeAlias = tuple[str, ...]
SlotOf: TypeAlias = Callable[[Intent], Slot]


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityState:
    """What is stored of one entity in one view: entries best first, and retractions by evidence key."""

    entries: tuple[Intent, ...] = ()
    retracted: Mapping[str, int] = field(default_factory=dict)
    """Evidence key → generated time (ms) up to which that evidence is void."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One record's effect: evidence that comes, or evidence that goes."""

    intent: Intent
    retracted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeRule:
    """What may not differ between two writers of the same features."""

    top_k: int
    rank: RankRule


def merge(state: EntityState, changes: Iterable[Change], *, slot_of: SlotOf, rule: MergeRule) -> EntityState:
    """The state that holds what ``state`` and ``changes`` hold, cut to the top K. Idempotent."""
    changes = tuple(changes)
    retracted = _retractions(state.retracted, (change.intent for change in changes if change.retracted))
    arriving = (change.intent for change in changes if not change.retracted)
    best: dict[Slot, tuple[_Order, Intent]] = {}
    for intent in (*state.entries, *arriving):
        if milliseconds(intent.generated_time) <= retracted.get(evidence_key(intent), _NEVER):
            continue
        candidate = (_order(intent, rule.rank), intent)
        slot = slot_of(intent)
        best[slot] = _better(best[slot], candidate) if slot in best else candidate
    ranked = sorted(best.items(), key=lambda item: (item[1][0], item[0]), reverse=True)
    return EntityState(entries=tuple(intent for _, (_, intent) in ranked[: rule.top_k]), retracted=retracted)


def evidence_key(intent: Intent) -> str:
    """What names one pair's evidence for one intent; also its key in the log."""
    return f"{intent.intent_id}/{intent.pair_id}"


def milliseconds(instant: datetime) -> int:
    """Since 1970 UTC."""
    return (instant - _EPOCH) // timedelta(milliseconds=1)


def content(intent: Intent) -> bytes:
    """Canonical bytes: equal exactly when the intents are."""
    return orjson.dumps(intent, option=orjson.OPT_SORT_KEYS)


_NEVER = -(2**63)
_Order: TypeAlias = tuple[float, int, str, str]


def _order(intent: Intent, rule: RankRule) -> _Order:
    rank = rule.rank(support=intent.support, event_time=intent.event_time, typicality=intent.typicality)
    return (rank, milliseconds(intent.generated_time), intent.pair_id, intent.intent_id)


def _better(one: tuple[_Order, Intent], other: tuple[_Order, Intent]) -> tuple[_Order, Intent]:
    if one[0] != other[0]:
        return max(one, other, key=lambda candidate: candidate[0])
    return max(one, other, key=lambda candidate: content(candidate[1]))


def _retractions(known: Mapping[str, int], arriving: Iterable[Intent]) -> dict[str, int]:
    merged = dict(known)
    for intent in arriving:
        key = evidence_key(intent)
        merged[key] = max(merged.get(key, _NEVER), milliseconds(intent.generated_time))
    newest = sorted(merged.items(), key=lambda item: (item[1], item[0]), reverse=True)
    return dict(sorted(newest[:MAX_RETRACTIONS]))
