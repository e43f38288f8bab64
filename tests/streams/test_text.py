"""Queries are masked and normalized once, for the stream and for readers alike."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.text import _normalized, mask, normalize_query, normalized, nothing_but_masks

queries = st.text(max_size=30) | st.text(
    st.sampled_from("aB1 09@.-+()\u00a0\u200b\ufb01\u0130\u0664\u096a\u2011\u2212"), max_size=30
)
ZEROS = "0\u0660\u06f0\u0966\u09e6\uff10\U0001d7ce"
"""ASCII, Arabic, Persian, Devanagari, Bengali, full width, mathematical."""
SEPARATORS = " -.()/\u00a0\u2010\u2011\u2012\u2013\u2014\u2212\uff0d\u30fc\u00b7\u2044\u200d\u061c"


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  Pasta\tSAUCE ", "pasta sauce"),
        ("mail Joe.Bloggs@x.co.uk now", "mail <email> now"),
        ("call +44 (0)20 7946 0958", "call <number>"),
        ("4111 1111 1111 1111", "<number>"),
        ("4111-1111-1111-1111 visa", "<number> visa"),
        ("DE89 3704 0044 0532 0130 00", "de<number>"),
        ("order 12345678", "order <number>"),
        ("iphone 14 128 256", "iphone 14 128 256"),
        ("1080p 60hz 27 inch", "1080p 60hz 27 inch"),
        ("\ufb01sh \u2460", "fish 1"),
        ("zero\u200bwidth", "zerowidth"),
        ("\u00a0", ""),
    ],
)
def test_a_query_is_kept_in_one_form(typed: str, kept: str) -> None:
    assert normalize_query(typed) == kept


@given(queries)
def test_normalizing_twice_changes_nothing(typed: str) -> None:
    once = normalize_query(typed)
    assert normalize_query(once) == once


@given(st.lists(queries, min_size=1, max_size=20))
def test_the_short_cut_for_plain_queries_gives_the_same(typed: list[str]) -> None:
    frame = pl.DataFrame({"q": typed})
    assert frame.select(normalized(pl.col("q"))).equals(frame.select(_normalized(pl.col("q"))))


@given(st.integers(10**8, 10**18))
def test_no_long_number_survives(number: int) -> None:
    assert mask(f"my number is {number} ok") == "my number is <number> ok"


@given(st.data(), st.sampled_from(ZEROS), st.lists(st.text(st.sampled_from(SEPARATORS), max_size=2), min_size=8))
def test_a_number_is_masked_whatever_its_digits_and_separators_are(
    data: st.DataObject, zero: str, separators: list[str]
) -> None:
    digits = data.draw(st.text(st.sampled_from([chr(ord(zero) + n) for n in range(10)]), min_size=len(separators) + 1))
    number = "".join(digit + after for digit, after in zip(digits, [*separators, ""], strict=False))
    assert normalize_query(f"call +{number} now") == "call <number> now"


@pytest.mark.parametrize("kept", ["\u0661\u0664 pro", "size 38\u201340", "2023\u20132024 diary"])
def test_a_short_number_is_kept_in_its_own_script(kept: str) -> None:
    assert normalize_query(kept) == kept


@given(queries)
def test_one_query_is_normalized_as_a_column_of_them_is(typed: str) -> None:
    column = pl.DataFrame({"q": [typed]}).select(normalized(pl.col("q")))
    assert normalize_query(typed) == column.item()


@pytest.mark.parametrize(
    "query",
    [
        "4006381333931", "a@b.de 4006381333931", "mail:a@b.de", "4006381333931,5000112637922", "(4006381333931)",
        "4006381333931 / 5000112637922", "4006381333931, - a@b.de;", "№4006381333931", "a@b.de\U0001f600",
        "tel.4006381333931 &",
    ],
)  # fmt: skip
def test_of_a_query_of_words_with_masks_nothing_is_left(query: str) -> None:
    assert _nothing_left(query)


@pytest.mark.parametrize(
    "query",
    ["pen 4006381333931", "4006381333931 x6", "a@b.de 傘", "umbrella", "", "\U0001f355", "c++", "number", "< number >"],
)
def test_of_a_query_with_another_word_or_without_a_mask_something_is_left(query: str) -> None:
    assert not _nothing_left(query)


def _nothing_left(query: str) -> bool:
    return bool(pl.select(nothing_but_masks(normalized(pl.lit(query)))).item())
