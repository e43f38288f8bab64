"""The state of one partition of pair-counts: everything the sampler knows, pure, without I/O or clock.

A semilattice throughout: blocks may come twice, in any order and in any portions, and segments written by two owners
may be merged; the state (its `fingerprint`) comes out the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import polars as pl

from streams.blocks import FACTS, HEADS, PRODUCTS, TOTALS_HEAD
from streams.ingest.facts import DAY_MS, Tables
from streams.state.canon import fingerprint
from streams.state.facts import HORIZON_DAYS, SESSIONS_KEPT, FactSet
from streams.state.pairs import PairIndex
from streams.state.runs import SortedRuns
from streams.state.tables import (
    ASKED,
    asked_table,
    folded,
    heads_table,
    keyed,
    newer,
    owning_texts,
    products_table,
    type_of,
    unkeyed,
)

Table = Literal["facts", "heads", "products", "asked"]
SCHEMAS: Mapping[Table, pl.Schema] = {"facts": FACTS, "heads": HEADS, "products": PRODUCTS, "asked": ASKED}
"""What `PartitionState.take_delta` gives and `merge_table` takes."""


class PartitionState:
    """One partition's facts, pair summaries, texts, products and what was asked.

    Belongs to one thread at a time: adding, reading and taking a delta must not overlap. Frames it has returned stay
    as they are.
    """

    def __init__(self, *, sessions_kept: int = SESSIONS_KEPT, horizon_days: int = HORIZON_DAYS) -> None:
        self._facts = FactSet(sessions_kept=sessions_kept, horizon_days=horizon_days)
        self._pairs = PairIndex(self._facts)
        self._heads = heads_table()
        self._products = products_table()
        self._asked = asked_table()
        self._dropped_to = -1
        self._delta: dict[Table, list[pl.DataFrame]] = {table: [] for table in SCHEMAS}

    def add(self, tables: Tables) -> pl.Series:
        """Union with a block. Returns the distinct heads (u64) that must be judged anew: those with facts that were not
        known, those of which facts fell out of the horizon, and those with a product that is news or of another type
        than before."""
        kept, horizon = self._products.at(tables.products["product"].unique()), self._facts.oldest_alive
        before = folded(kept.filter(_since(horizon)))
        added = self._pairs.add(tables.facts)
        alive = _since(self._facts.oldest_alive)
        products = newer(tables.products.filter(alive), kept.filter(alive))
        self._gain("heads", tables.heads.join(self.texts(tables.heads["head"]), on=list(HEADS), how="anti"))
        self._gain("products", products)
        self._delta["facts"].append(added.facts)
        unknown = products.join(before, on="product", how="anti").select("product").unique()
        unnamed = unknown.join(tables.facts, left_on="product", right_on="other", how="anti")
        touched = [
            added.facts["head"],
            tables.facts.join(unknown, left_on="other", right_on="product", how="semi")["head"],
            added.expired_heads,
            self._pairs.heads_with(pl.concat([unnamed["product"], self._retyped(before, products, horizon)])),
        ]
        heads = pl.concat(touched).unique()
        return heads.filter(heads != TOTALS_HEAD)

    def pairs_of(self, heads: pl.Series) -> pl.DataFrame:
        """`SUMMARY` of every pair of these distinct heads within the horizon, sorted by head, then other."""
        return self._pairs.of_heads(heads)

    def heads(self) -> pl.Series:
        """Every head that has a pair within the horizon, distinct, sorted."""
        return self._pairs.heads()

    def texts(self, heads: pl.Series) -> pl.DataFrame:
        """`HEADS` of these heads, as far as they are known."""
        return self._heads.at(heads.unique())

    def products(self, hashes: pl.Series) -> pl.DataFrame:
        """`PRODUCTS` of these products, as far as they are known, one row each, sorted: the time of the newest event,
        and each label as the newest event within the horizon has it that knows it."""
        return folded(self._products.at(hashes.unique()).filter(_since(self._facts.oldest_alive)))

    def asked(self, pairs: pl.DataFrame) -> pl.DataFrame:
        """`ASKED` of these pairs (columns head and other), as far as they have been."""
        return unkeyed(self._asked.at(keyed(pairs.select("head", "other"))["pair"].unique()))

    def ask(self, rows: pl.DataFrame) -> None:
        """Note rows of `ASKED`."""
        self._gain("asked", rows)

    @property
    def watermark(self) -> int:
        """Newest bucket of a shopper's fact, -1 while there is none."""
        return self._facts.watermark

    def late(self, facts: pl.DataFrame) -> int:
        """How many of these facts lie before the horizon, so that adding them changes nothing."""
        return facts.filter(pl.col("bucket") < self._facts.oldest_alive).height

    def totals(self) -> int:
        """Purchasing sessions of the whole stream within the horizon; an estimate from k on, as in `SUMMARY`."""
        total = self.pairs_of(pl.Series([TOTALS_HEAD], dtype=pl.UInt64))["co_purchases"]
        return int(total[0]) if len(total) else 0

    def take_delta(self) -> dict[Table, pl.DataFrame]:
        """What `add` and `ask` brought since the last call and was not known before, by table; tables without rows are
        left out. What a lost delta held does not come again: whoever cannot make one durable starts from the log."""
        taken, self._delta = self._delta, {table: [] for table in SCHEMAS}
        frames = {table: pl.concat(parts) for table, parts in taken.items() if parts}
        return {table: frame for table, frame in frames.items() if frame.height}

    def merge_table(self, table: Table, rows: pl.DataFrame) -> None:
        """Union with rows that are durable already (a segment): they do not come again in a delta."""
        if table == "facts":
            self._pairs.add(rows)
        else:
            runs = {"heads": self._heads, "products": self._products, "asked": self._asked}[table]
            runs.add(keyed(rows) if table == "asked" else rows)

    def snapshot(self, table: Table) -> pl.DataFrame:
        """All of a table in normal form, as `merge_table` takes it."""
        self.drop_expired()
        match table:
            case "facts":
                return self._pairs.named(self._facts.all())
            case "heads":
                return self._heads.all()
            case "products":
                return self._products.all()
            case "asked":
                return unkeyed(self._asked.all())

    def fingerprint(self) -> str:
        """Hash of the counted state in normal form: shoppers' facts within the horizon, and the texts of their heads
        and products. Equal for equal states, however they came about. Vouchers and what was asked are left out: their
        history depends on how the stream was cut."""
        self.drop_expired()
        return fingerprint(self._facts.all(), self._heads.all(), self._products.all())

    @property
    def has_expired(self) -> bool:
        """The horizon has moved since `drop_expired`."""
        return self._dropped_to < self.watermark

    def drop_expired(self) -> None:
        """Give back the memory of what is outside the horizon. It is not seen in any case; this costs a pass."""
        self._dropped_to = self.watermark
        self._facts.drop_expired()
        self._pairs.drop_expired()
        heads = self.heads()
        self._heads.keep(pl.col("head").is_in(heads.implode()))
        self._products.keep(_since(self._facts.oldest_alive))
        self._asked.keep(pl.col("pair").is_in(self._pairs.keys().implode()))

    @property
    def rows(self) -> dict[str, int]:
        """Rows in memory, by table."""
        return {name: table.rows for name, table in self._sizes().items()}

    @property
    def bytes(self) -> dict[str, int]:
        """Bytes in memory, by table."""
        return {name: table.bytes for name, table in self._sizes().items()}

    def _gain(self, table: Table, rows: pl.DataFrame) -> None:
        rows = owning_texts(rows)
        self._delta[table].append(rows)
        self.merge_table(table, rows)

    def _retyped(self, before: pl.DataFrame, news: pl.DataFrame, horizon: int) -> pl.Series:
        """Products that are known with another type than before, by news or because the horizon has moved on from
        ``horizon`` (a bucket); most blocks have none, and none is looked up."""
        said = ("product", "product_type", "category")
        both = before.select(said).join(news.select(said), on="product", suffix="_now")
        both = both.filter((pl.col("product_type") != pl.col("product_type_now")).fill_null(True))
        differ = type_of().ne_missing(type_of("_now"))
        told = both.filter(type_of("_now").is_not_null() & differ)["product"]
        lost = self._lost_rows(horizon)
        if not len(told) + len(lost):
            return told
        others = self._products.at(lost.filter(~lost.is_in(before["product"].implode()))).filter(_since(horizon))
        now = self.products(pl.concat([told, lost]))
        return pl.concat([before, folded(others)]).join(now, on="product", suffix="_now").filter(differ)["product"]

    def _lost_rows(self, horizon: int) -> pl.Series:
        """Products of which a row has left the horizon since it began at this bucket, distinct."""
        if horizon == self._facts.oldest_alive:
            return pl.Series("product", [], dtype=pl.UInt64)
        return self._products.where(_since(horizon) & ~_since(self._facts.oldest_alive))["product"].unique()

    def _sizes(self) -> dict[str, FactSet | PairIndex | SortedRuns]:
        return {
            "facts": self._facts,
            "pairs": self._pairs,
            "heads": self._heads,
            "products": self._products,
            "asked": self._asked,
        }


def _since(bucket: int) -> pl.Expr:
    """Rows of `PRODUCTS` of this bucket and later ones."""
    return pl.col("event_time") >= bucket * DAY_MS
