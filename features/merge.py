"""The merge of new intents into an entity's features: a semilattice, so order, repetition and batching do not matter.

Of each piece of evidence (one pair's for one intent) the newest edition counts, as in the compacted log. For each slot
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

Edition: TypeAlias = tuple[int, int]
"""What makes one version of a piece of evidence newer than another: its newest event, then its answer (ms each).

Not the answer alone: a worker that is stopped in front of the model, and wakes after its pair was asked again by
another, has the older evidence and the newer answer.
"""
Slot: TypeAlias = tuple[str, ...]
SlotOf: TypeAlias = Callable[[Intent], Slot]


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityState:
    """What is stored of one entity in one view: what is shown and what is in reserve, each best first, and retractions
    by evidence key."""

    entries: tuple[Intent, ...] = ()
    reserve: tuple[Intent, ...] = ()
    retracted: Mapping[str, Edition] = field(default_factory=dict)
    """Evidence key → newest edition of that evidence that is void; older ones are too."""


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
    valid = (intent for key, intent in newest.items() if edition(intent) > retracted.get(key, _NEVER))
    ranked = sorted(valid, key=lambda intent: _order(intent, rule.rank), reverse=True)
    best = {id(intent) for intent in {slot_of(intent): intent for intent in reversed(ranked)}.values()}
    leading = [intent for intent in ranked if id(intent) in best]
    behind = [intent for intent in ranked if id(intent) not in best]
    # A runner-up of another slot before a second witness in the same one: who retracts a reason retracts its witnesses.
    reserve = (*leading[rule.top_k :], *behind)[:RESERVE]
    return EntityState(entries=tuple(leading[: rule.top_k]), reserve=reserve, retracted=retracted)


def join(one: EntityState, other: EntityState, *, slot_of: SlotOf, rule: MergeRule) -> EntityState:
    """The state that holds what both hold."""
    void = {key: max(one.retracted.get(key, _NEVER), other.retracted.get(key, _NEVER)) for key in other.retracted}
    known = EntityState(entries=one.entries, reserve=one.reserve, retracted={**one.retracted, **void})
    theirs = (Change(intent=intent) for intent in (*other.entries, *other.reserve))
    return merge(known, theirs, slot_of=slot_of, rule=rule)


def overtaken(state: EntityState, changes: Iterable[Change]) -> dict[str, Intent]:
    """Evidence key → an edition that came, in the order given, when a newer one or its retraction was known already.

    What is shown does not suffer from it. But the same record came late into the compacted log too, which keeps what
    came last: the newer one has to be written there again.
    """
    known = {evidence_key(intent): intent for intent in (*state.entries, *state.reserve)}
    void = dict(state.retracted)
    late: dict[str, Intent] = {}
    for change in changes:
        key, intent = evidence_key(change.intent), change.intent
        older = key in known and _older(intent, known[key], retraction=change.retracted)
        if older or (edition(intent) <= void.get(key, _NEVER) and not change.retracted):
            late[key] = intent
        if change.retracted:
            void[key] = max(edition(intent), void.get(key, _NEVER))
        elif not older:
            known[key] = intent
    return late


def standing(state: EntityState, late: Mapping[str, Intent]) -> list[Change]:
    """Of evidence that was overtaken, what the merged state says of it; nothing of what it has forgotten."""
    kept = {evidence_key(intent): intent for intent in (*state.entries, *state.reserve)}
    return [
        Change(intent=kept.get(key, intent), retracted=key not in kept)
        for key, intent in late.items()
        if key in kept or key in state.retracted
    ]


def edition(intent: Intent) -> Edition:
    """See Edition."""
    return milliseconds(intent.event_time), milliseconds(intent.generated_time)


def evidence_key(intent: Intent) -> str:
    """What names one pair's evidence for one intent; also its key in the log."""
    return f"{intent.intent_id}/{intent.pair_id}"


def milliseconds(instant: datetime) -> int:
    """Since 1970 UTC."""
    return (instant - _EPOCH) // timedelta(milliseconds=1)


def content(intent: Intent) -> bytes:
    """Canonical bytes: equal exactly when the intents are."""
    return orjson.dumps(intent, option=orjson.OPT_SORT_KEYS)


_NEVER: Edition = (-(2**63), -(2**63))
_Order: TypeAlias = tuple[float, int, str, str]


def _order(intent: Intent, rule: RankRule) -> _Order:
    rank = rule.rank(support=intent.support, event_time=intent.event_time, typicality=intent.typicality)
    return (rank, milliseconds(intent.generated_time), intent.pair_id, intent.intent_id)


def _newest(intents: Iterable[Intent]) -> dict[str, Intent]:
    """The newest edition of each piece of evidence."""
    newest: dict[str, Intent] = {}
    for intent in intents:
        key = evidence_key(intent)
        known = newest.get(key)
        if known is None or _version(known) < _version(intent):
            newest[key] = intent
    return newest


def _older(intent: Intent, known: Intent, *, retraction: bool) -> bool:
    if edition(intent) != edition(known):
        return edition(intent) < edition(known)
    return not retraction and intent != known and content(intent) < content(known)


def _version(intent: Intent) -> tuple[Edition, bytes]:
    """Two answers of one instant differ only if a model is not deterministic; then any rule will do that is one."""
    return (edition(intent), content(intent))


def _retractions(known: Mapping[str, Edition], arriving: Iterable[Intent]) -> dict[str, Edition]:
    merged = dict(known)
    for intent in arriving:
        key = evidence_key(intent)
        merged[key] = max(merged.get(key, _NEVER), edition(intent))
    newest = sorted(merged.items(), key=lambda item: (item[1], item[0]), reverse=True)
    return dict(sorted(newest[:MAX_RETRACTIONS]))
