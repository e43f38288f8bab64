"""Samplers of several partitions in one thread, without a broker: vouchers go where a broker would bring them."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl

from streams.blocks import HEADS, PRODUCTS
from streams.ingest.facts import Tables
from streams.sampling.board import Board
from streams.sampling.rules import Rules
from streams.state.partition import PartitionState
from tests.sampling.examples import part_for

NOW = datetime(2024, 10, 5, tzinfo=UTC)


class Cluster:
    """One board a partition. `settle` works until nothing is left to do."""

    def __init__(self, partitions: int = 2, rules: Rules | None = None) -> None:
        self.rules = rules or Rules()
        self.partitions = partitions
        self.states = [PartitionState() for _ in range(partitions)]
        self.boards = [Board(state, self.rules) for state in self.states]

    def add(self, tables: Tables) -> None:
        for number, board in enumerate(self.boards):
            part = part_for(tables, number, self.partitions)
            if part.facts.height:
                board.touch(self.states[number].add(part))

    def restart(self, number: int) -> None:
        """A new owner: it has the state, and nothing that was derived from it."""
        self.boards[number] = Board(self.states[number], self.rules)

    def step(self, number: int, limit: int) -> None:
        board = self.boards[number]
        if board.learning or board.dirty:
            self._deliver(board.step(limit))
        else:
            board.refresh()
            self._deliver(board.sweep(limit))

    def settle(self) -> None:
        for _ in range(1000):
            if all(board.settled for board in self.boards):
                return
            for number in range(self.partitions):
                self.step(number, 1000)
        raise AssertionError("the boards do not come to rest")

    def qualified(self) -> pl.DataFrame:
        """Everything that qualifies, in one order, without what numbers types."""
        found = pl.concat([board.qualified for board in self.boards]).drop("group")
        return found.sort("head", "other").with_columns(pl.col(pl.Float64).round(9))

    def due(self, now: datetime = NOW) -> pl.DataFrame:
        return pl.concat([board.due(now) for board in self.boards]).sort("head", "other")

    def _deliver(self, vouchers: pl.DataFrame) -> None:
        if vouchers.height:
            self.add(Tables(facts=vouchers, heads=HEADS.to_frame(), products=PRODUCTS.to_frame()))
