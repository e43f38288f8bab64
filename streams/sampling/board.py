"""What one partition's sampler holds besides its state: which heads to look at, what qualified, what was vouched.

All of it is derived from the state and can be derived again; nothing here needs to survive the process. No I/O and no
clock. A head is looked at when its facts change, and every head again until the state has come to rest, because a
pair's verdict also hangs on figures of the whole stream (its sessions, the lift of types).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

import polars as pl

from streams.blocks import FACTS, TOTALS_HEAD, HeadCode
from streams.sampling import asking, evaluate, vouchers
from streams.sampling.evaluate import QUALIFIED, Known
from streams.sampling.knowledge import Knowledge
from streams.sampling.rules import Rules
from streams.sampling.thinning import thinned
from streams.state.facts import HORIZON_DAYS
from streams.state.keys import pair_keys
from streams.state.partition import PartitionState
from streams.state.summary import COUNTED
from streams.state.tables import type_of
from streams.text import nothing_but_masks

COUNTS = [*COUNTED, *(f"today_{name}" for name in COUNTED)]
"""Columns of `SUMMARY` that are reckoned with; as signed numbers, so that differences may be negative."""
VOUCHED = pl.Schema({"voucher": pl.UInt64, "owner": pl.UInt64, "content": pl.UInt16, "bucket": pl.Int32})


@dataclass(slots=True)
class Board:
    """Derived state of one partition; belongs to one thread at a time, as its `PartitionState` does.

    Begins with every head of the state: each is learned from before any is judged, because the first verdicts of a new
    owner must not be made in ignorance.
    """

    state: PartitionState
    rules: Rules
    knowledge: Knowledge = field(init=False)
    qualified: pl.DataFrame = field(default_factory=QUALIFIED.to_frame)
    _unlearned: deque[int] = field(init=False)
    _dirty: dict[int, None] = field(default_factory=dict)
    _sweep: deque[int] = field(default_factory=deque)
    _version: int = 0
    _sweeping: int = 0
    _vouched: pl.DataFrame = field(default_factory=VOUCHED.to_frame)
    _oldest: int | None = None

    def __post_init__(self) -> None:
        self.knowledge = Knowledge(self.rules)
        self._unlearned = deque(self.state.heads())
        self._dirty.update(dict.fromkeys(self._unlearned))

    def touch(self, heads: Iterable[int], *, figures: bool = True) -> None:
        """These heads have new facts. ``figures``: they may change figures of the whole stream; vouchers do not."""
        self._dirty.update((head, None) for head in heads if head != TOTALS_HEAD)
        self._version += figures

    @property
    def dirty(self) -> int:
        """Heads whose facts changed since they were looked at."""
        return len(self._dirty)

    @property
    def learning(self) -> bool:
        """Heads of the state it began with are still to be learned from; nothing is judged before."""
        return bool(self._unlearned)

    @property
    def sweeping(self) -> bool:
        """Heads whose facts did not change are to be looked at again."""
        return bool(self._sweep) or self._sweeping != self._version

    @property
    def settled(self) -> bool:
        """Every head was looked at with the state as it is, so `qualified` is what the whole state gives."""
        return not (self.learning or self.dirty or self.sweeping or self.knowledge.has_news)

    def step(self, limit: int) -> pl.DataFrame:
        """Look at the ``limit`` heads whose facts changed longest ago. Returns vouchers to send (`FACTS`)."""
        if self._unlearned:
            heads = [self._unlearned.popleft() for _ in range(min(limit, len(self._unlearned)))]
            self._learn(heads, self._described(heads))
            if not self._unlearned:
                self.knowledge.refresh()
            return FACTS.to_frame()
        heads = list(islice(self._dirty, limit))
        for head in heads:
            del self._dirty[head]
        pairs = self._described(heads)
        self._learn(heads, pairs)
        return self._judge(heads, pairs)

    def sweep(self, limit: int) -> pl.DataFrame:
        """Look at ``limit`` heads again whose facts did not change, until all were looked at with the state as is."""
        if not self._sweep:
            if self._sweeping == self._version:
                return FACTS.to_frame()
            self._sweep.extend(self.state.heads())
            self._sweeping = self._version
        heads = [self._sweep.popleft() for _ in range(min(limit, len(self._sweep)))]
        return self._judge(heads, self._described(heads))  # their facts, and so what they teach, are as they were

    def refresh(self) -> None:
        """Reckon type lifts and promiscuity anew, if something was learned; then every head must be looked at again."""
        if self.knowledge.refresh():
            self._version += 1

    def due(self, now: datetime) -> pl.DataFrame:
        """What should be asked now: `QUALIFIED`, thinned, with reason and priority. Order does not matter."""
        chosen = thinned(self.qualified, ["lane", "group"], self.rules.per_type_pair)
        asked = self.state.asked(chosen.select("head", "other")).rename({"level": "asked_level"})
        known = chosen.join(asked, on=["head", "other"], how="left")
        why = asking.reason(pl.col("level"), pl.col("asked_level"), pl.col("asked_ms"), now, self.rules)
        due = known.with_columns(reason=why).drop_nulls("reason")
        return due.with_columns(
            priority=pl.col("worth") * asking.novelty(pl.col("reason")),
            lane=pl.when("burst").then(pl.lit("burst")).otherwise("lane"),
            reason=pl.when("burst")
            .then(pl.lit("BURST"))
            .when(pl.col("lane") == "low_engagement")
            .then(pl.lit("LOW_ENGAGEMENT"))
            .otherwise("reason"),
        )

    def _judge(self, heads: list[int], pairs: pl.DataFrame) -> pl.DataFrame:
        known = self._known()
        by_query, by_product = (pairs.filter(pl.col("kind") == code) for code in (HeadCode.QUERY, HeadCode.PRODUCT))
        found = [evaluate.searches(by_query, known, self.rules), evaluate.products(by_product, known, self.rules)]
        self.qualified = pl.concat([_without(self.qualified, "head", heads), *found])
        return self._vouch(by_product)

    def _learn(self, heads: list[int], pairs: pl.DataFrame) -> None:
        products = pairs.filter(pl.col("kind") == HeadCode.PRODUCT)
        self.knowledge.learn(pl.Series("head", heads, dtype=pl.UInt64), products)

    def _described(self, heads: list[int]) -> pl.DataFrame:
        """All pairs of the heads with what the rules need to know of both ends. Not among them: a pair of a product of
        which nothing is known, for nobody could say what it is, and of a query that is nothing but masks, which is many
        queries in one."""
        keys = pl.Series("head", heads, dtype=pl.UInt64)
        pairs = self.state.pairs_of(keys)
        self._remember_oldest(pairs)
        of_many = (pl.col("kind") == HeadCode.QUERY) & nothing_but_masks(pl.col("text"))
        kinds = self.state.texts(keys).filter(~of_many).select("head", "kind")
        named = pl.concat([pairs["head"], pairs["other"]]).unique()
        types = self._types(named)
        return (
            pairs.with_columns(pl.col(COUNTS).cast(pl.Int64), pair=pair_keys(pairs["head"], pairs["other"]))
            .join(kinds, on="head")
            .join(types.select(other="product", other_text="text", other_type="type"), on="other")
            .join(types.select(head="product", type="type", named=True), on="head", how="left")
            .filter(pl.col("named") | (pl.col("kind") == HeadCode.QUERY))
            .drop("named")
        )

    def _remember_oldest(self, pairs: pl.DataFrame) -> None:
        oldest = pairs.filter(pl.col("first_bucket") >= 0)["first_bucket"].min()
        if isinstance(oldest, int):
            self._oldest = oldest if self._oldest is None else min(oldest, self._oldest)

    def _types(self, products: pl.Series) -> pl.DataFrame:
        """product, text, type: its product type, else its category; null where neither is known. A product without a
        title is one of which nothing is known."""
        found = self.state.products(products).drop_nulls("title")
        text = found.select(text=type_of())["text"]
        return found.select("product").with_columns(text, self.knowledge.codes.of(text).alias("type"))

    def _known(self) -> Known:
        return Known(
            sessions=self.state.totals(),
            types=len(self.knowledge.codes),
            days_before=self._days_before(),
            type_lifts=self.knowledge.type_lifts,
            promiscuous=self.knowledge.promiscuous,
        )

    def _days_before(self) -> int:
        """Days of events before today's, as far as the horizon keeps them."""
        today = self.state.watermark
        return min(today - self._oldest, HORIZON_DAYS - 1) if self._oldest is not None else 0

    def _vouch(self, pairs: pl.DataFrame) -> pl.DataFrame:
        """Vouchers for these heads that say something new, or whose last saying grows old."""
        alone = pl.col("head") == pl.col("other")
        own = pairs.filter(alone).select("head", own="co_purchases")
        rows = pairs.filter((pl.col("other") < pl.col("head")) & (pl.col("co_purchases") >= self.rules.basket_support))
        said = rows.join(own, on="head").select(
            voucher="head",
            owner="other",
            content=vouchers.content(pl.col("own"), pl.col("head").is_in(self.knowledge.promiscuous.implode())),
            version=pl.col("own") + self.knowledge.sessions,
        )
        bucket = self.state.watermark
        before = self._vouched.filter(pl.col("bucket") > bucket - vouchers.RESEND_DAYS)
        news = said.join(before, on=["voucher", "owner", "content"], how="anti")
        sent = news.select("voucher", "owner", "content", bucket=pl.lit(bucket, pl.Int32))
        kept = before.join(news, on=["voucher", "owner"], how="anti")
        self._vouched = pl.concat([kept, sent])
        return vouchers.facts(news, bucket)


def _without(frame: pl.DataFrame, column: str, values: list[int]) -> pl.DataFrame:
    return frame.filter(~pl.col(column).is_in(pl.Series(values, dtype=pl.UInt64).implode()))
