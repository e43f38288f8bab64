"""Admission control: how many pairs may wait for the model, and whose turn it is. Pure; fed with lags and counts.

What is asked should be the best of now. So the queue before the model is kept short, and everything else waits here,
where it can still be overtaken.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

LANES = {"burst": 0.0, "search": 0.5, "basket": 0.45, "low_engagement": 0.05}
"""Share of each lane while all have something waiting; a burst goes before everything. COSMO explained 1.9 M search-buy
and 3.1 M co-buy pairs; here search leads a little, because readers ask about queries most."""


@dataclass(slots=True)
class Window:
    """How many records may wait in behavior-pairs. Follows the model's speed without knowing it.

    A queue that runs dry while pairs wait here was too short: it doubles. A queue that hardly moves is longer than it
    need be: it shrinks slowly towards ``least``, which is what a slow model still finds waiting after each batch.
    """

    least: int = 64
    most: int = 16_384
    size: int = 0

    def __post_init__(self) -> None:
        self.size = self.size or self.least

    def observe(self, lag: int, *, waiting: bool) -> None:
        """Tell the lag just measured, and whether pairs were held back since the last time."""
        if waiting and lag <= self.size // 8:
            self.size = min(self.most, self.size * 2)
        elif lag > self.size // 2:
            self.size = max(self.least, self.size - self.size // 16)


@dataclass(slots=True)
class Budget:
    """Records that may still be sent: the window, less the lag measured, less what was sent since.

    ``share`` is the part of the partitions that this process owns: every process keeps to its part of the window.
    An unknown lag allows nothing.
    """

    window: Window
    _lag: int | None = None
    _sent: int = 0
    _held_back: bool = False

    def measured(self, lag: int | None, sent_before: int) -> None:
        """A new lag. ``sent_before``: records sent by this process before the measurement began, so counted in it."""
        if lag is not None:
            self.window.observe(lag, waiting=self._held_back)
            self._held_back = False
        self._lag = lag
        self._sent = max(0, self._sent - sent_before)

    def room(self, share: float) -> int:
        """How many may be sent now."""
        if self._lag is None:
            return 0
        return max(0, int((self.window.size - self._lag) * share) - self._sent)

    def sent(self, records: int, *, held_back: bool) -> None:
        """Note what was sent, and whether more would have gone."""
        self._sent += records
        self._held_back = self._held_back or held_back

    @property
    def sent_since(self) -> int:
        """Sent and not yet counted in the lag."""
        return self._sent


@dataclass(slots=True)
class Lanes:
    """Whose turn it is: stride scheduling (Waldspurger and Weihl 1995) over the lanes.

    Each lane has a pass that moves by 1/share for each pair taken; the lane with the smallest is next. A lane that had
    nothing for a while begins at the others' pass: it saves up no turns. A lane without share goes before all.
    """

    shares: dict[str, float] = field(default_factory=lambda: dict(LANES))
    _passes: dict[str, float] = field(default_factory=dict)
    _waiting: frozenset[str] = frozenset()
    _now: float = 0.0

    def take(self, waiting: pl.DataFrame, room: int) -> pl.DataFrame:
        """The ``room`` rows whose turn it is, in the order of their turns; within a lane by priority.

        ``waiting``: lane, priority, pair, and whatever else its rows carry.
        """
        self._enter(frozenset(waiting["lane"].unique()))
        rank = pl.int_range(1, pl.len() + 1).over("lane")
        best = waiting.sort("priority", "pair", descending=[True, False]).filter(rank <= room)
        turn = _of_lane(self._passes) + rank * _of_lane({lane: self._stride(lane) for lane in self._passes})
        taken = best.with_columns(turn=turn).sort("turn", "pair").head(room).drop("turn")
        self._leave(taken)
        return taken

    def _enter(self, waiting: frozenset[str]) -> None:
        for lane in waiting - self._waiting:
            self._passes[lane] = max(self._passes.get(lane, 0.0), self._now) if self.shares[lane] else -1.0
        self._waiting = waiting

    def _leave(self, taken: pl.DataFrame) -> None:
        for lane, count in taken.group_by("lane").len().iter_rows():
            self._passes[lane] += count * self._stride(lane)
            self._now = max(self._now, self._passes[lane])

    def _stride(self, lane: str) -> float:
        return 1 / self.shares[lane] if self.shares[lane] else 0.0


def _of_lane(figures: dict[str, float]) -> pl.Expr:
    return pl.col("lane").replace_strict(figures, default=None, return_dtype=pl.Float64)
