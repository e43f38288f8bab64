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
from typing import Protocol, TypeAlias

import orjson

from cosmo.runtime.metrics import counter
from features.entities import slot_of
from features.errors import DamagedRow
from features.merge import Change, EntityState, MergeRule, evidence_key, join, merge, overtaken, standing
from features.online import format as feast_format
from features.online.damage import DamagedRows, reading
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
    """What came of changes."""

    versions: list[Version] = field(default_factory=list)
    """Each row touched, as it is in the store now."""
    overtaken: dict[str, Change] = field(default_factory=dict)
    """By evidence key: what stands of evidence whose older edition came late, to be written to the log again."""
    damaged: dict[Ref, DamagedRow] = field(default_factory=dict)
    """Rows that could not be read and were left as they are: their changes are in no row."""


@dataclass(frozen=True, slots=True)
class _Merged:
    """One row after the merge. ``replacement`` is None when it is there already, byte for byte."""

    version: Version
    replacement: Replacement | None
    overtaken: Sequence[Change] = ()


class Door(Protocol):
    """Keeps a writer out of a store that is not whole."""

    def lets_in(self, mark: str | None) -> bool:
        """Whether what was read together with this mark may be merged into."""
        ...

    async def opened(self) -> None:
        """Returns when it may be worth while to read again."""
        ...


_Merge: TypeAlias = Callable[[Ref, Stored], _Merged]


@dataclass(slots=True)
class Writer:
    """Merges changes into the online store. At least once in, exactly one state out: the merge is idempotent."""

    store: OnlineStore
    rule: MergeRule
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    door: Door | None = None
    """None for who makes a store whole."""
    _damaged: DamagedRows = field(default_factory=DamagedRows)

    async def apply(self, changes: Mapping[Ref, Sequence[Change]]) -> Applied:
        """Merge changes, those of each row in the order in which they came. Waits without end for a store that is
        unreachable or not whole.

        Raises StoreRefused.
        """
        return await self._write(list(changes), lambda ref, old: self._changed(ref, old, changes[ref]))

    async def write_anew(self, states: Mapping[Ref, EntityState]) -> Applied:
        """Write damaged rows, of which ``states`` is everything that the log says. Rows that can be read are joined
        with it. Waits and raises as `apply` does."""
        return await self._write(list(states), lambda ref, old: self._mended(ref, old, states[ref]))

    async def _write(self, refs: Sequence[Ref], merge_into: _Merge) -> Applied:
        applied = Applied()
        for start in range(0, len(refs), ROWS_PER_ROUND_TRIP):
            pending = refs[start : start + ROWS_PER_ROUND_TRIP]
            while pending:
                done = await persistently(partial(self._attempt, pending, merge_into), dependency="online store")
                if done is None:
                    await self._opened()
                    continue
                for ref, merged in done.items():
                    if isinstance(merged, DamagedRow):
                        applied.damaged[ref] = merged
                        continue
                    applied.versions.append(merged.version)
                    applied.overtaken.update((evidence_key(one.intent), one) for one in merged.overtaken)
                pending = [ref for ref in pending if ref not in done]
        self._damaged.saw(refs, applied.damaged)
        return applied

    async def _opened(self) -> None:
        if self.door is not None:
            await self.door.opened()

    async def _attempt(self, refs: Sequence[Ref], merge_into: _Merge) -> dict[Ref, _Merged | DamagedRow] | None:
        """1. read, 2. merge, 3. write what changed; the rows that nobody else wrote meanwhile. None, and nothing done,
        when the store is not whole. If it is emptied after the reading, rows that were there are found to be others,
        and new ones lie in a store without a mark, which the rebuild joins with the rest."""
        mark, stored = await self.store.read_applied(refs, {})
        if self.door is not None and not self.door.lets_in(mark):
            return None
        merged = {ref: _or_damaged(merge_into, ref, old) for ref, old in zip(refs, stored, strict=True)}
        wanted = [
            one.replacement for one in merged.values() if isinstance(one, _Merged) and one.replacement is not None
        ]
        conflicts = {one.ref for one, done in zip(wanted, await self.store.replace(wanted), strict=True) if not done}
        for ref, one in merged.items():
            outcome = "conflict" if ref in conflicts else _outcome(one)
            counter("cosmo_feature_writes_total").labels(ref.view.name, outcome).inc()
        return {ref: one for ref, one in merged.items() if ref not in conflicts}

    def _changed(self, ref: Ref, old: Stored, changes: Sequence[Change]) -> _Merged:
        """The row after the merge."""
        with reading(ref, old):
            known = decode_state(ref, old)
            state = merge(known, changes, slot_of=slot_of(ref.view, ref.key), rule=self.rule)
            return self._as_stored(ref, old, state, standing(state, overtaken(known, changes)))

    def _mended(self, ref: Ref, old: Stored, state: EntityState) -> _Merged:
        try:
            with reading(ref, old):
                joined = join(decode_state(ref, old), state, slot_of=slot_of(ref.view, ref.key), rule=self.rule)
                return self._as_stored(ref, old, joined)
        except DamagedRow:
            at, row = self.now(), row_of(ref.view, ref.key, state)
            fields = feast_format.encode_row(ref.view, row) | _encode_ours(ref.view, state)
            fields[feast_format.timestamp_field(ref.view)] = feast_format.encode_timestamp(at)
            return _Merged(Version(ref, at, row), Replacement(ref, old.version, fields, anew=True))

    def _as_stored(self, ref: Ref, old: Stored, state: EntityState, late: Sequence[Change] = ()) -> _Merged:
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


def _or_damaged(merge_into: _Merge, ref: Ref, old: Stored) -> _Merged | DamagedRow:
    try:
        return merge_into(ref, old)
    except DamagedRow as error:
        return error


def _outcome(one: _Merged | DamagedRow) -> str:
    if isinstance(one, DamagedRow):
        return "damaged"
    return "unchanged" if one.replacement is None else "changed"


def decode_state(ref: Ref, stored: Stored) -> EntityState:
    """The merge base. Raises what reading damaged bytes raises: see `features.online.damage.reading`."""
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
