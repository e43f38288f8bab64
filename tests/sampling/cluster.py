"""Samplers without a broker, with what tests ask of them."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl

from streams.sampling.offline import OfflineSamplers
from streams.sampling.rules import Rules
from streams.state.partition import PartitionState

NOW = datetime(2024, 10, 5, tzinfo=UTC)


class Cluster(OfflineSamplers):
    """Begins with nothing."""

    def __init__(self, partitions: int = 2, rules: Rules | None = None) -> None:
        super().__init__([PartitionState() for _ in range(partitions)], rules)

    def verdicts(self) -> pl.DataFrame:
        """Everything that qualifies, in one order, without the codes of types, which each run numbers anew."""
        found = self.qualified().drop("group").sort("head", "other")
        return found.with_columns(pl.col(pl.Float64).round(9))

    def rows_due(self) -> pl.DataFrame:
        return pl.concat([board.due(NOW) for board in self.boards]).sort("head", "other")
