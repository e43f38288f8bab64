"""Hashes are the same whoever makes them: partitions and state depend on it for ever."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.blocks import PRODUCT, QUERY, SESSION, hashes, product_hash, query_hash, session_hash, session_hashes


@pytest.mark.parametrize(
    ("kind", "one"), [(QUERY, query_hash), (PRODUCT, product_hash), (SESSION, session_hash)], ids=str
)
@given(texts=st.lists(st.text(st.characters(codec="utf-8"), max_size=300), max_size=5))
def test_a_column_is_hashed_as_each_of_its_texts(kind: str, one: Callable[[str], int], texts: list[str]) -> None:
    found = hashes(pl.Series(texts, dtype=pl.String), kind)
    assert found.to_list() == [one(text) for text in texts]
    assert found.dtype == pl.UInt64


def test_hashes_are_those_that_state_was_written_with() -> None:
    assert (query_hash("pasta"), product_hash("pasta"), session_hash("pasta")) == (
        326129025199222273,
        7297129982655029855,
        541274288170481795,
    )


IDS = st.lists(st.text(st.characters(codec="utf-8"), max_size=100), min_size=1, max_size=5).map(
    lambda ids: pl.Series(ids, dtype=pl.String)
)


@given(ids=IDS)
def test_without_a_key_sessions_are_hashed_as_they_are_and_with_one_always_the_same_otherwise(ids: pl.Series) -> None:
    assert session_hashes(ids).to_list() == [session_hash(one) for one in ids]
    assert session_hashes(ids, "key").equals(session_hashes(pl.concat([ids, ids]), "key").head(len(ids)))
    assert not (session_hashes(ids, "key") == session_hashes(ids)).any()
    assert not (session_hashes(ids, "key") == session_hashes(ids, "another")).any()


def test_hashes_with_a_key_are_those_that_state_was_written_with() -> None:
    assert session_hashes(pl.Series(["pasta"]), "a key of 16 bytes").to_list() == [2371217726362366827]
