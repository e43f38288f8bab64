"""A table as a few sorted runs, merged geometrically: adding costs the logarithm of the size, reading what changed
costs the size of what is read. Nothing here knows what the columns mean."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

Reduce = Callable[[pl.DataFrame], pl.DataFrame]
"""From rows sorted by key (rows of one key: oldest first) to the table's normal form, still sorted. Idempotent."""

RATIO = 2
"""A run is merged into its elder as soon as the elder is less than this many times as long. 2 keeps at most
log2(rows / rows added at once) runs, each row being rewritten about as often."""


class SortedRuns:
    """Rows sorted by one column of unsigned integers, ``key``.

    Frames are immutable, so what a method returns stays valid while the table goes on; the object itself belongs
    to one thread at a time.
    """

    def __init__(self, key: str, schema: pl.Schema, reduce: Reduce) -> None:
        self._key = key
        self._schema = schema
        self._reduce = reduce
        self._runs: list[pl.DataFrame] = []

    def add(self, rows: pl.DataFrame) -> None:
        """Add rows, in any order. They count as newer than all that is there."""
        if rows.is_empty():
            return
        self._runs.append(self._merged([rows]))
        while len(self._runs) > 1 and self._runs[-2].height < RATIO * self._runs[-1].height:
            self._runs[-2:] = [self._merged(self._runs[-2:])]

    def between(self, lows: pl.Series, highs: pl.Series) -> pl.DataFrame:
        """Rows whose key lies in one of the closed ranges; the ranges must not overlap."""
        return self._merged([_rows_between(run, self._key, lows, highs) for run in self._runs])

    def last_between(self, lows: pl.Series, highs: pl.Series) -> pl.Series:
        """The greatest key in each closed range, null where there is none."""
        found = pl.Series("found", [None], dtype=self._schema[self._key]).new_from_index(0, len(lows))
        for run in self._runs:
            begins, ends = _bounds(run, self._key, lows, highs)
            last = run[self._key].gather(np.maximum(ends - 1, 0))
            both = pl.DataFrame({"found": found, "last": last, "any": ends > begins})
            found = both.select(pl.max_horizontal("found", pl.when("any").then("last")))["found"]
        return found

    def at(self, keys: pl.Series) -> pl.DataFrame:
        """Rows with these keys; the keys must be distinct."""
        return self.between(keys, keys)

    def where(self, condition: pl.Expr) -> pl.DataFrame:
        """Rows of any run that satisfy it, in no order: also a row that a newer one of its key has replaced."""
        return pl.concat([self._schema.to_frame(), *(run.filter(condition) for run in self._runs)])

    def all(self) -> pl.DataFrame:
        """Every row, in normal form. Merges the runs, so that the next call costs nothing until something is added."""
        self._runs = [self._merged(self._runs)]
        return self._runs[0]

    def normalize(self) -> None:
        """Reduce every row again, for a ``reduce`` whose verdict has changed (a horizon moved on)."""
        self._runs = [self._reduce(self.all())]

    def keep(self, condition: pl.Expr) -> None:
        """Forget the rows that do not satisfy it."""
        self._runs = [self.all().filter(condition)]

    @property
    def rows(self) -> int:
        """Rows in memory; a row that is in two runs counts twice."""
        return sum(run.height for run in self._runs)

    @property
    def bytes(self) -> int:
        return sum(int(run.estimated_size()) for run in self._runs)

    def _merged(self, parts: list[pl.DataFrame]) -> pl.DataFrame:
        together = pl.concat([self._schema.to_frame(), *parts])
        return self._reduce(together.sort(self._key, maintain_order=together.width > 1)).rechunk()


def _bounds(
    run: pl.DataFrame, key: str, lows: pl.Series, highs: pl.Series
) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], np.ndarray[tuple[int], np.dtype[np.int64]]]:
    column = run[key]
    begins = column.search_sorted(lows, side="left").to_numpy().astype(np.int64)
    ends = column.search_sorted(highs, side="right").to_numpy().astype(np.int64)
    return begins, ends


def _rows_between(run: pl.DataFrame, key: str, lows: pl.Series, highs: pl.Series) -> pl.DataFrame:
    begins, ends = _bounds(run, key, lows, highs)
    lengths = ends - begins
    total = int(lengths.sum())
    if total == 0:
        return run.clear()
    # Row numbers of all ranges, one after another, without a loop over the ranges.
    first_of_range = np.repeat(begins - np.concatenate(([0], np.cumsum(lengths)[:-1])), lengths)
    return run[pl.Series(first_of_range + np.arange(total))]
