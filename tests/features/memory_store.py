"""An online store in memory, and one that fails first: they pass the contract that Redis passes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from features.errors import StoreUnreachable
from features.online import format as feast_format
from features.online.store import Ref, Replacement, Stored
from features.views import View


@dataclass(slots=True)
class MemoryStore:
    """`before_replace` runs between a writer's read and its write: the moment in which another writer may come."""

    rows: dict[Ref, Stored] = field(default_factory=dict)
    mark: str | None = None
    before_replace: Callable[[], None] = lambda: None
    replaced: int = 0
    lives: int = 1

    async def read(self, refs: Sequence[Ref], features: Mapping[View, Collection[str]] | None = None) -> list[Stored]:
        return [_narrowed(ref, self.rows.get(ref, Stored(None, {})), features) for ref in refs]

    async def read_applied(
        self, refs: Sequence[Ref], features: Mapping[View, Collection[str]]
    ) -> tuple[str | None, list[Stored]]:
        return self.mark, await self.read(refs, features)

    async def replace(self, replacements: Sequence[Replacement]) -> list[bool]:
        self.before_replace()
        return [self._replace(one) for one in replacements]

    async def mark_applied(self, fingerprint: str) -> None:
        self.mark = fingerprint

    async def renew_mark(self, fingerprint: str) -> bool:
        if self.mark is not None:
            self.mark = fingerprint
        return self.mark is not None

    async def life(self) -> str:
        return str(self.lives)

    def empty(self) -> None:
        """As FLUSHALL does it."""
        self.rows.clear()
        self.mark = None
        self.lives += 1

    async def close(self) -> None:
        pass

    def _replace(self, one: Replacement) -> bool:
        old = self.rows.get(one.ref, Stored(None, {}))
        if old.version != one.expected:
            return False
        fields = dict(one.fields) if one.anew else {**old.fields, **one.fields}
        version = fields.pop(feast_format.timestamp_field(one.ref.view), None)
        self.rows[one.ref] = Stored(version, fields)
        self.replaced += 1
        return True


@dataclass(slots=True)
class FailingStore(MemoryStore):
    """Unreachable for the next ``failures`` calls; a failing write may still have been done, as on a real network."""

    failures: int = 0
    done_all_the_same: bool = False

    async def read(self, refs: Sequence[Ref], features: Mapping[View, Collection[str]] | None = None) -> list[Stored]:
        self._fail()
        return await MemoryStore.read(self, refs, features)

    async def replace(self, replacements: Sequence[Replacement]) -> list[bool]:
        if self.done_all_the_same and self.failures:
            await MemoryStore.replace(self, replacements)
        self._fail()
        return await MemoryStore.replace(self, replacements)

    def _fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise StoreUnreachable("The store is down.")


def _narrowed(ref: Ref, stored: Stored, features: Mapping[View, Collection[str]] | None) -> Stored:
    if features is None or ref.view not in features:
        return stored
    wanted = {feast_format.field(ref.view, name) for name in features[ref.view]}
    fields = {name: value for name, value in stored.fields.items() if name in wanted}
    return Stored(stored.version, fields, stored.damage)
