"""Every partition's sampler in one thread and without a broker: what qualifies by the logs alone, for whoever checks.

A check of a running system loads the states (`streams.state.replay`) and asks what should have been released by now.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from schemas.records import BehaviorPair
from streams.blocks import HEADS, PRODUCTS
from streams.ingest.facts import Combined, Tables
from streams.sampling.board import Board
from streams.sampling.described import described
from streams.sampling.rules import Rules
from streams.state.partition import PartitionState

MAX_TURNS = 10_000


class NoRest(Exception):  # noqa: N818 - says what the samplers do not come to
    """The samplers go on finding something to do: a defect."""


class OfflineSamplers:
    """A board over each state, in the order of the partitions. Vouchers go where a broker would bring them."""

    def __init__(self, states: Sequence[PartitionState], rules: Rules | None = None) -> None:
        self.rules = rules or Rules()
        self.states = list(states)
        self.boards = [Board(state, self.rules) for state in self.states]

    @property
    def partitions(self) -> int:
        return len(self.states)

    def add(self, combined: Combined) -> None:
        """What ingest makes of a fetch, shuffled to the partitions."""
        for number in range(self.partitions):
            self.add_to(number, combined.tables(number, self.partitions))

    def add_to(self, number: int, tables: Tables) -> None:
        """A block of one partition."""
        if tables.facts.height:
            self.boards[number].touch(self.states[number].add(tables))

    def restart(self, number: int) -> None:
        """A new owner of a partition: it has the state, and nothing that was derived from it."""
        self.boards[number] = Board(self.states[number], self.rules)

    def step(self, number: int, limit: int) -> None:
        """A little work on one partition."""
        board = self.boards[number]
        if board.learning or board.dirty:
            self._deliver(board.step(limit))
        else:
            if not board.sweeping:
                board.refresh()
            self._deliver(board.sweep(limit))

    def settle(self, limit: int = 4096) -> None:
        """Work until nothing is left to do: what then qualifies depends on the states alone."""
        for _ in range(MAX_TURNS):
            if all(board.settled for board in self.boards):
                return
            for number in range(self.partitions):
                self.step(number, limit)
        raise NoRest(f"{sum(board.dirty for board in self.boards)} heads are dirty after {MAX_TURNS} turns")

    def qualified(self) -> pl.DataFrame:
        """Everything that qualifies (`streams.sampling.evaluate.QUALIFIED`), before thinning."""
        return pl.concat([board.qualified for board in self.boards])

    def due(self, now: datetime) -> list[BehaviorPair]:
        """What should be asked now, in no order; empty once a settled system has released everything."""
        return [pair for board in self.boards for pair in described(board.state, board.due(now), now)]

    def _deliver(self, vouchers: pl.DataFrame) -> None:
        for (number,), facts in vouchers.group_by(pl.col("head") % self.partitions):
            assert isinstance(number, int)
            self.add_to(number, Tables(facts=facts, heads=HEADS.to_frame(), products=PRODUCTS.to_frame()))
