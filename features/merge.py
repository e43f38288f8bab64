"""The merge of new intents into an entity's features: a semilattice, so order, repetition and batching do not matter.

Of each piece of evidence (one pair's for one intent) the newest version counts, as in the compacted log. For each slot
the best-ranked evidence is shown, and of the slots the best K. What is not shown is kept in reserve, so that it can
come forward when what stood before it is retracted or loses rank: up to K + ``RESERVE`` pieces of evidence, features
are exactly what the whole log says. Beyond that the least is forgotten; while ranks only grow, which is the rule, the
features are exact even so: what was cut could only come back with a better rank, and then it brings all it needs.

Retractions are kept too (the newest ``MAX_RETRACTIONS``): otherwise a late writer with an old record would bring a
retracted intent back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import orjson

from features.rank import RankRule
from schemas.records import Intent

RESERVE = 24
"""Pieces of evidence kept beside the K that are shown; half a kilobyte each, and few entities have any."""
MAX_RETRACTIONS = 64
"""Per entity and view; a few kilobytes. Beyond it the oldest retraction is forgotten."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Slot: TypeAlias = tuple[str, ...]
SlotOf: TypeAlias = Callable[[Intent], Slot]


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityState:
    """What is stored of one entity in one view: what is shown and what is in reserve, each best first, and retractions
    by evidence key."""

    entries: tuple[Intent, ...] = ()
    reserve: tuple[Intent, ...] = ()
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
    """The state that holds what ``state`` and ``changes`` hold. Idempotent."""
    changes = tuple(changes)
    retracted = _retractions(state.retracted, (change.intent for change in changes if change.retracted))
    arriving = (change.intent for change in changes if not change.retracted)
    newest = _newest((*state.entries, *state.reserve, *arriving))
    valid = (
        intent for key, intent in newest.items() if milliseconds(intent.generated_time) > retracted.get(key, _NEVER)
    )
    ranked = sorted(valid, key=lambda intent: _order(intent, rule.rank), reverse=True)
    best = {id(intent) for intent in {slot_of(intent): intent for intent in reversed(ranked)}.values()}
    leading = [intent for intent in ranked if id(intent) in best]
    behind = [intent for intent in ranked if id(intent) not in best]
    # A runner-up of another slot before a second witness in the same one: who retracts a reason retracts its witnesses.
    reserve = (*leading[rule.top_k :], *behind)[:RESERVE]
    return EntityState(entries=tuple(leading[: rule.top_k]), reserve=reserve, retracted=retracted)


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


def _newest(intents: Iterable[Intent]) -> dict[str, Intent]:
    """The newest version of each piece of evidence."""
    newest: dict[str, Intent] = {}
    for intent in intents:
        key = evidence_key(intent)
        known = newest.get(key)
        if known is None or _version(known) < _version(intent):
            newest[key] = intent
    return newest


def _version(intent: Intent) -> tuple[int, bytes]:
    """Two answers of one instant differ only if a model is not deterministic; then any rule will do that is one."""
    return (milliseconds(intent.generated_time), content(intent))


def _retractions(known: Mapping[str, int], arriving: Iterable[Intent]) -> dict[str, int]:
    merged = dict(known)
    for intent in arriving:
        key = evidence_key(intent)
        merged[key] = max(merged.get(key, _NEVER), milliseconds(intent.generated_time))
    newest = sorted(merged.items(), key=lambda item: (item[1], item[0]), reverse=True)
    return dict(sorted(newest[:MAX_RETRACTIONS]))
