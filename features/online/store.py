"""What the writer and the look-ups need of an online store: read whole rows, and replace a row nobody else changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from features.rows import Row
from features.views import View


@dataclass(frozen=True, slots=True)
class Ref:
    """One entity in one view."""

    view: View
    key: str


@dataclass(frozen=True, slots=True)
class Stored:
    """One row as it lies in the store: raw event timestamp (None: nothing there) and raw fields that are there.

    ``damage`` says why there is no row where one should be, when the store itself can tell: its key is no hash.
    """

    version: bytes | None
    fields: Mapping[bytes, bytes]
    damage: str = ""


@dataclass(frozen=True, slots=True)
class Replacement:
    """Fields to write, event timestamp among them, if the row still has the version it was read with.

    ``anew``: nothing of what was there stays, not even a key that is no hash. Every field of the view is given then.
    """

    ref: Ref
    expected: bytes | None
    fields: Mapping[bytes, bytes]
    anew: bool = False


@dataclass(frozen=True, slots=True)
class Version:
    """One row as it was made visible at ``event_timestamp``."""

    ref: Ref
    event_timestamp: datetime
    row: Row


class OnlineStore(Protocol):
    """Every call is one round trip for any number of rows. Raises StoreUnreachable (retriable) or StoreRefused."""

    async def read(self, refs: Sequence[Ref], features: Mapping[View, Collection[str]] | None = None) -> list[Stored]:
        """Rows in the order asked; only these features of a view if it is named (nothing of ours then)."""
        ...

    async def read_applied(
        self, refs: Sequence[Ref], features: Mapping[View, Collection[str]]
    ) -> tuple[str | None, list[Stored]]:
        """The mark of `mark_applied` and the rows, from the same round trip."""
        ...

    async def replace(self, replacements: Sequence[Replacement]) -> list[bool]:
        """Each row is replaced whole or, when its version is another by now, left alone (False)."""
        ...

    async def mark_applied(self, fingerprint: str) -> None:
        """Leave the mark by which readers tell an emptied store from one that knows nothing of an entity."""
        ...

    async def renew_mark(self, fingerprint: str) -> bool:
        """Leave the mark if there is one, of whatever version; False if there is none."""
        ...

    async def life(self) -> str:
        """A name that the store keeps until it is emptied, and then another."""
        ...

    async def close(self) -> None:
        """Let connections go."""
        ...
