"""What product types say: which go together, which products go with everything, how broad a query is."""

from __future__ import annotations

import math
from collections.abc import Iterable

import polars as pl

from streams.sampling.bounds import poisson_low
from streams.sampling.rules import Rules

COMPANIONS = pl.Schema({"head": pl.UInt64, "type": pl.UInt32, "other_type": pl.UInt32, "sessions": pl.Int64})
"""For a product (``head``, of ``type``): sessions with products of each other type, summed over those products."""


class TypeCodes:
    """Product types as small integers. Codes depend on the order of arrival, so none of them leaves the process."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}

    def of(self, types: pl.Series) -> pl.Series:
        """Code of each type, null for null."""
        for text in types.unique().drop_nulls().to_list():
            self._codes.setdefault(text, len(self._codes))
        return types.replace_strict(self._codes, default=None, return_dtype=pl.UInt32)

    def __len__(self) -> int:
        return len(self._codes)


def type_lifts(companions: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """(type, other_type, lift_low): lower bound of how many times more often heads of a type are bought with another
    type than heads of all other types are. COSMO cross-checks product types to drop random pairs (section 3.2.1).

    lift_low is null while there are no heads of other types to compare with.
    """
    pairs = companions.group_by("type", "other_type").agg(pl.col("sessions").sum())
    of_type, of_other = pl.col("sessions").sum().over("type"), pl.col("sessions").sum().over("other_type")
    outside = (pl.col("sessions").sum() - of_type).cast(pl.Float64)
    # Half a session is added to what was seen elsewhere: a type never seen elsewhere is rare, not impossible.
    elsewhere = (of_other - pl.col("sessions") + 0.5) / (outside + 1)
    low = poisson_low(pl.col("sessions"), rules.confidence_z) / of_type / elsewhere
    return pairs.select("type", "other_type", lift_low=pl.when(outside > 0).then(low))


def distinctness(companions: pl.DataFrame) -> pl.DataFrame:
    """(head, nats): by how many nats the types bought with a product differ from those bought with all other products.

    Relative entropy (Kullback and Leibler 1951) to the other heads' distribution, less its bias for small samples,
    (types - 1) / 2n (Miller 1955). Plain entropy would grow with the number of sessions; this does not.
    Null where there are no other heads to compare with.
    """
    by_type = companions.group_by("head", "other_type").agg(pl.col("sessions").sum())
    types = by_type["other_type"].n_unique()
    own = pl.col("sessions").sum().over("head")
    everywhere = pl.col("sessions").sum().over("other_type")
    others = (pl.col("sessions").sum() - own).cast(pl.Float64)
    base = (everywhere - pl.col("sessions") + 0.5) / (others + 0.5 * types)
    share = pl.col("sessions") / own
    terms = by_type.with_columns(term=pl.when(others > 0).then(share * (share / base).log()), own=own)
    bias = (pl.len() - 1) / (2 * pl.col("own").first())
    known = pl.col("term").null_count() == 0
    return terms.group_by("head").agg(nats=pl.when(known).then(pl.col("term").sum() - bias))


def entropy(counts: Iterable[int]) -> float:
    """Shannon entropy in nats of the distribution with these counts; 0 for one value or none."""
    positive = [count for count in counts if count > 0]
    total = sum(positive)
    return -sum(count / total * math.log(count / total) for count in positive) if len(positive) > 1 else 0.0


def specificity(purchases: pl.DataFrame, types_known: int) -> pl.DataFrame:
    """(head, breadth, specificity, product_types) of queries. ``purchases``: head, product_type, sessions.

    Breadth is the effective number of product types bought after the query, exp(entropy), at least 1; specificity is
    1 - entropy / log(types known), 1 for a single type, 0 for all types alike. product_types explain it: the most
    frequent first, then by name, at most 8. A query after which no known type was bought is not among them.
    (COSMO, section 3.2.1, scores specificity by a service of its own and prefers broad queries.)
    """
    known = purchases.drop_nulls("product_type").filter(pl.col("sessions") > 0)
    by_type = known.group_by("head", "product_type").agg(pl.col("sessions").sum())
    share = pl.col("sessions") / pl.col("sessions").sum().over("head")
    most = math.log(max(2, types_known))
    return (
        by_type.with_columns(term=-share * share.log())
        .sort("head", "sessions", "product_type", descending=[False, True, False])
        .group_by("head", maintain_order=True)
        .agg(entropy=pl.col("term").sum(), product_types=pl.col("product_type").head(8))
        .select(
            "head",
            breadth=pl.col("entropy").exp(),
            specificity=(1 - pl.col("entropy") / most).clip(0.0, 1.0),
            product_types="product_types",
        )
    )
