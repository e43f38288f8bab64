"""Read, merge, and write with compare-and-set: two writers of one entity never lose each other's update.

Feast's own write reads the event timestamp and then writes, in two steps: a writer that was paused in between (a
zombie whose partition was given away) overwrites what the new owner wrote. Here the write names the version that was
read and is refused if it is another by now; then the row is read and merged again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

import orjson

from cosmo.runtime.metrics import counter
from features.entities import slot_of
from features.merge import Change, EntityState, MergeRule, evidence_key, merge, overtaken, standing
from features.online import format as feast_format
from features.online.retry import persistently
from features.online.store import OnlineStore, Ref, Replacement, Stored, Version
from features.rows import reserve_of, row_of, state_of
from features.views import View

ROWS_PER_ROUND_TRIP = 250
"""A row is about 4 kB, 16 with a full reserve: 1 to 4 MB each way, 10 to 40 ms of one Redis core; more would only delay
other clients."""
TICK = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Applied:
    """What came of changes: each row touched, as it is in the store now; and by evidence key what stands of evidence
    whose older editions came late, to be written to the log of intents again."""

    versions: list[Version]
    overtaken: dict[str, Change]


@dataclass(frozen=True, slots=True)
class _Merged:
    """One row after the merge. ``replacement`` is None when it is there already, byte for byte."""

    version: Version
    replacement: Replacement | None
    overtaken: Sequence[Change]


@dataclass(slots=True)
class Writer:
    """Merges changes into the online store. At least once in, exactly one state out: the merge is idempotent."""

    store: OnlineStore
    rule: MergeRule
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    async def apply(self, changes: Mapping[Ref, Sequence[Change]]) -> Applied:
        """Merge changes, those of each row in the order in which they came. Waits for an unreachable store without end.

        Raises StoreRefused.
        """
        applied = Applied([], {})
        refs = list(changes)
        for start in range(0, len(refs), ROWS_PER_ROUND_TRIP):
            pending = refs[start : start + ROWS_PER_ROUND_TRIP]
            while pending:
                done = await persistently(partial(self._attempt, pending, changes), dependency="online store")
                for merged in done.values():
                    applied.versions.append(merged.version)
                    applied.overtaken.update((evidence_key(one.intent), one) for one in merged.overtaken)
                pending = [ref for ref in pending if ref not in done]
        return applied

    async def _attempt(self, refs: Sequence[Ref], changes: Mapping[Ref, Sequence[Change]]) -> dict[Ref, _Merged]:
        """1. read, 2. merge, 3. write what changed; the rows that nobody else wrote meanwhile."""
        stored = await self.store.read(refs)
        merged = [self._merged(ref, old, changes[ref]) for ref, old in zip(refs, stored, strict=True)]
        replaced = iter(await self.store.replace([one.replacement for one in merged if one.replacement is not None]))
        done: dict[Ref, _Merged] = {}
        for ref, one in zip(refs, merged, strict=True):
            outcome = "unchanged" if one.replacement is None else "changed" if next(replaced) else "conflict"
            counter("cosmo_feature_writes_total").labels(ref.view.name, outcome).inc()
            if outcome != "conflict":
                done[ref] = one
        return done

    def _merged(self, ref: Ref, old: Stored, changes: Sequence[Change]) -> _Merged:
        known = decode_state(ref, old)
        state = merge(known, changes, slot_of=slot_of(ref.view, ref.key), rule=self.rule)
        late = standing(state, overtaken(known, changes))
        row = row_of(ref.view, ref.key, state)
        fields = feast_format.encode_row(ref.view, row) | _encode_ours(ref.view, state)
        if old.version is not None and fields.items() <= old.fields.items():
            return _Merged(Version(ref, feast_format.decode_timestamp(old.version), row), None, late)
        at = self._event_timestamp(old.version)
        fields[feast_format.timestamp_field(ref.view)] = feast_format.encode_timestamp(at)
        return _Merged(Version(ref, at, row), Replacement(ref, old.version, fields), late)

    def _event_timestamp(self, version: bytes | None) -> datetime:
        """Now, and in any case later than the version replaced: an equal one would be taken for the same version,
        and Feast's own writers would skip it in silence."""
        now = self.now()
        return now if version is None else max(now, feast_format.decode_timestamp(version) + TICK)


def decode_state(ref: Ref, stored: Stored) -> EntityState:
    """The merge base."""
    retracted = stored.fields.get(feast_format.retracted_field(ref.view))
    reserve = stored.fields.get(feast_format.reserve_field(ref.view), b"")
    row = feast_format.decode_row(ref.view, stored.fields)
    void = orjson.loads(retracted) if retracted else {}
    editions = {key: (event_ms, generated_ms) for key, (event_ms, generated_ms) in void.items()}
    return state_of(row, reserve.decode(), editions)


def _encode_ours(view: View, state: EntityState) -> dict[bytes, bytes]:
    ours = {feast_format.reserve_field(view): reserve_of(state).encode()}
    if state.retracted:
        ours[feast_format.retracted_field(view)] = orjson.dumps(state.retracted, option=orjson.OPT_SORT_KEYS)
    return ours
