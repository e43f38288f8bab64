"""Rows that cannot be read: one value cut off or of another type, a key that is no hash. One such row harms no other.

Whoever meets one says which it is, goes on with the rest, and leaves the row as it is. ``cosmo features rebuild``
writes it again from the log, which is the only place that knows all of it: merged into what can still be read of the
row, or into nothing, new evidence would pass for everything that is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from cosmo.runtime import health, logs
from cosmo.runtime.metrics import gauge
from features.errors import DamagedRow, UnusableIntent
from features.online.store import Ref, Stored
from features.views import VIEWS

MAX_KNOWN = 10_000
"""Rows remembered as damaged; what is beyond them is answered and logged all the same."""
SHOWN = 3
"""Of them in the sentence of /healthz."""

UNREADABLE = (DecodeError, ValueError, LookupError, TypeError, ArithmeticError, UnusableIntent)
"""What reading bytes of any content can raise: protobuf, JSON, UTF-8, unequal lists, names and dates out of range."""

log = logs.get(__name__)


@contextmanager
def reading(ref: Ref, stored: Stored) -> Iterator[None]:
    """Around whatever reads the row. Raises DamagedRow."""
    if stored.damage:
        raise DamagedRow(ref.view.name, ref.key, stored.damage)
    try:
        yield
    except UNREADABLE as error:
        raise DamagedRow(ref.view.name, ref.key, str(error).rstrip(".") or type(error).__name__) from error


@dataclass(slots=True)
class DamagedRows:
    """The damaged rows that this process has met and has not seen whole since: a gauge, and a sentence in /healthz.

    No reason to restart anything, so they make no process unhealthy.
    """

    _known: dict[Ref, None] = field(default_factory=dict)

    def saw(self, refs: Iterable[Ref], damaged: Mapping[Ref, DamagedRow]) -> None:
        """Take on what was just read: all rows, and those of them that were damaged."""
        new = [(ref, error) for ref, error in damaged.items() if ref not in self._known]
        mended = [ref for ref in refs if ref not in damaged and ref in self._known] if self._known else []
        for ref, error in new:
            log.error("row cannot be read", view=ref.view.name, key=ref.key, reason=error.why)
            if len(self._known) < MAX_KNOWN:
                self._known[ref] = None
        for ref in mended:
            del self._known[ref]
        if new or mended:
            self._show()

    def _show(self) -> None:
        for view in VIEWS:
            count = sum(ref.view is view for ref in self._known)
            gauge("cosmo_damaged_rows").labels(view.name).set(count)
        some = ", ".join(f"{ref.key!r} in {ref.view.name}" for ref in list(self._known)[:SHOWN])
        rest = f" and {len(self._known) - SHOWN} more" if len(self._known) > SHOWN else ""
        sentence = f"Rows of the online store that cannot be read: {some}{rest}. Run `cosmo features rebuild`."
        health.note("damaged rows", sentence if self._known else "")
