"""Which partition a head belongs to, and what is done when one is found elsewhere.

A head lives in the partition of its hash modulo their number, so adding partitions to pair-counts moves heads: their
past would lie in one partition and their future in another, and both would count too little. Nothing has to be noted
down to see it. Each owner looks at the heads themselves, in the state that it loads and in the blocks that it reads.
"""

from __future__ import annotations

import polars as pl

from cosmo.runtime.errors import StopWorker
from streams.blocks import TOTALS_HEAD

ADVICE = "Stop the sample workers, run `cosmo topics repartition`, which moves every head to its place, and start them."


class Misplaced(StopWorker):
    """Going on would split what is known of some heads."""

    def __init__(self, what: str) -> None:
        super().__init__(what, advice=ADVICE)


def misplaced(heads: pl.Series, partition: int, partitions: int) -> pl.Series:
    """The heads (u64) that belong to another of ``partitions``, distinct. The stream's totals are at home in each."""
    return heads.filter((heads % partitions != partition) & (heads != TOTALS_HEAD)).unique()


def check(heads: pl.Series, topic: str, partition: int, partitions: int, where: str) -> None:
    """Raises Misplaced when some do not belong to this partition of ``topic``; ``where`` says what holds them."""
    count = misplaced(heads, partition, partitions).len()
    if count:
        raise Misplaced(
            f"{where} holds {count:,} heads of other partitions than {topic}[{partition}]: they were placed when the "
            f"topic had not {partitions} partitions, as it has now."
        )
