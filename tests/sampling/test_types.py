"""What product types say, against plain counting and against what a reader would expect."""

from __future__ import annotations

import math

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from streams.sampling.rules import Rules
from streams.sampling.types import COMPANIONS, TypeCodes, distinctness, specificity, type_lifts

RULES = Rules()


def companions(rows: list[tuple[int, int, int, int]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=COMPANIONS, orient="row")


def test_types_bought_together_more_than_others_have_lift_and_random_ones_have_not() -> None:
    tents_and_pegs = [(head, 1, 2, 40) for head in range(5)] + [(head, 1, 3, 10) for head in range(5)]
    others = [(head, 9, 2, 2) for head in range(10, 30)] + [(head, 9, 3, 10) for head in range(10, 30)]
    lifts = {row[:2]: row[2] for row in type_lifts(companions(tents_and_pegs + others), RULES).iter_rows()}
    assert lifts[1, 2] > 3
    assert lifts[1, 3] < 1


def test_lift_is_unknown_while_there_is_nothing_to_compare_with() -> None:
    assert type_lifts(companions([(1, 1, 2, 40)]), RULES)["lift_low"].to_list() == [None]
    assert distinctness(companions([(1, 1, 2, 40)]))["nats"].to_list() == [None]


def test_what_goes_with_everything_is_not_distinct_and_what_goes_with_one_thing_is() -> None:
    everybody = [(head, 1, other, 10) for head in range(20) for other in range(10)]
    bananas = [(100, 2, other, 200) for other in range(10)]
    pegs = [(200, 3, 0, 90), (200, 3, 1, 10)]
    nats = dict(distinctness(companions(everybody + bananas + pegs)).iter_rows())
    assert abs(nats[100]) < 0.05
    assert nats[200] > 1


@given(st.integers(2, 30), st.integers(1, 40))
def test_a_small_sample_of_everything_is_no_more_distinct_than_a_large_one(types: int, times: int) -> None:
    """The bias of small samples is taken off: what shares the base exactly never seems distinct."""
    base = [(head, 1, other, 100) for head in range(3) for other in range(types)]
    found = dict(distinctness(companions([*base, *((9, 2, other, times) for other in range(types))])).iter_rows())
    assert found[9] <= 1e-9


bought = st.dictionaries(st.sampled_from("abcdefghij"), st.integers(1, 50), min_size=1)


def of_query(counts: dict[str, int], known: int = 10) -> dict[str, object]:
    frame = pl.DataFrame({"head": 1, "product_type": list(counts), "sessions": list(counts.values())})
    return specificity(frame, known).row(0, named=True)


@given(bought)
def test_specificity_is_one_minus_normalized_entropy(counts: dict[str, int]) -> None:
    total = sum(counts.values())
    entropy = -sum(count / total * math.log(count / total) for count in counts.values())
    found = of_query(counts)
    assert isinstance(found["specificity"], float)
    assert isinstance(found["breadth"], float)
    assert math.isclose(found["specificity"], 1 - entropy / math.log(10), abs_tol=1e-9)
    assert math.isclose(found["breadth"], math.exp(entropy), rel_tol=1e-9)
    assert 1 - 1e-9 <= found["breadth"] <= len(counts) + 1e-9


@given(bought)
def test_its_explanation_names_the_types_most_frequent_first(counts: dict[str, int]) -> None:
    assert of_query(counts)["product_types"] == sorted(counts, key=lambda name: (-counts[name], name))[:8]


def test_one_type_is_specific_and_all_types_alike_are_not() -> None:
    assert of_query({"a": 7})["specificity"] == 1
    assert abs(of_query(dict.fromkeys("abcdefghij", 3))["specificity"]) < 1e-9  # type: ignore[arg-type]


def test_codes_stay_and_unknown_stays_unknown() -> None:
    codes = TypeCodes()
    first = codes.of(pl.Series(["tent", None, "peg", "tent"]))
    second = codes.of(pl.Series(["peg", "lamp", "tent"]))
    assert first[0] == first[3] == second[2]
    assert first[1] is None
    assert first[2] == second[0]
    assert len({*first.drop_nulls(), *second}) == len(codes) == 3
