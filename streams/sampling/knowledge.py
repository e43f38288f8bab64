"""What one partition's products say together: which types belong together, which products go with everything.

Figures over all heads, kept as each head's own contribution, so that a head that is looked at again replaces what it
said before. Derived from the state alone; a new owner learns it again before it judges any pair.
"""

from __future__ import annotations

import polars as pl

from streams.sampling.baskets import promiscuous
from streams.sampling.evaluate import LIFTS
from streams.sampling.rules import Rules
from streams.sampling.types import COMPANIONS, TypeCodes, distinctness, type_lifts

OWN = pl.Schema({"head": pl.UInt64, "sessions": pl.Int64})


class Knowledge:
    """Belongs to one thread at a time. `learn` costs what it is told; `refresh` costs all that is known."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.codes = TypeCodes()
        self.type_lifts = LIFTS.to_frame()
        self.promiscuous = pl.Series("head", [], dtype=pl.UInt64)
        self.sessions = 0
        """Sum of all contributions, as of the last refresh. Rises with the state while no day ends."""
        self._companions = COMPANIONS.to_frame()
        self._own = OWN.to_frame()
        self._news: list[tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]] = []

    @property
    def has_news(self) -> bool:
        """Something was learned since the last refresh."""
        return bool(self._news)

    def learn(self, heads: pl.Series, pairs: pl.DataFrame) -> None:
        """All pairs of these heads: head, type, other, other_type, co_purchases. Replaces what they said before."""
        alone = pl.col("head") == pl.col("other")
        companions = (
            pairs.filter(~alone & (pl.col("co_purchases") > 0))
            .drop_nulls(["type", "other_type"])
            .group_by("head", "type", "other_type")
            .agg(sessions=pl.col("co_purchases").sum().cast(pl.Int64))
        )
        own = pairs.filter(alone).select("head", sessions=pl.col("co_purchases").cast(pl.Int64))
        self._news.append((heads.alias("head").to_frame(), companions, own))

    def refresh(self) -> bool:
        """Reckon anew with what was learned. False when there was nothing; else every pair is to be judged again."""
        if not self._news:
            return False
        self._companions = self._taken_in(self._companions, 1)
        self._own = self._taken_in(self._own, 2)
        self._news.clear()
        self.sessions = int(self._companions["sessions"].sum()) + int(self._own["sessions"].sum())
        self.type_lifts = type_lifts(self._companions, self.rules)
        self.promiscuous = promiscuous(distinctness(self._companions), self._own, self.rules).sort()
        return True

    def _taken_in(self, known: pl.DataFrame, part: int) -> pl.DataFrame:
        numbered = [news[0].with_columns(turn=pl.lit(turn)) for turn, news in enumerate(self._news)]
        newest = pl.concat(numbered).group_by("head").agg(pl.col("turn").max())
        said = pl.concat([news[part].with_columns(turn=pl.lit(turn)) for turn, news in enumerate(self._news)])
        return pl.concat(
            [known.join(newest, on="head", how="anti"), said.join(newest, on=["head", "turn"], how="semi").drop("turn")]
        )
