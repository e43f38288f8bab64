from __future__ import annotations

from dataclasses import replace

import pytest

from cosmo.demo import DEFAULT_PATIENCE_S
from cosmo.demo.ending import Bounds, Ending, counted
from cosmo.demo.reading import Reading, Stage

BOUNDS = Bounds(entities=40, limit_s=170.0, patience_s=360.0)


def _reading(entities: int | None, *, waiting: int = 0, sample_lag_s: float | None = None) -> Reading:
    def stage(name: str, lag: int, lag_s: float | None) -> Stage:
        return Stage(name=name, taken=100, given=5, refused=0, lag=lag, lag_s=lag_s)

    sample_waits = 0 if sample_lag_s is None else 7
    return Reading(
        entities=entities, stages=[stage("ingest", waiting, 1.0), stage("sample", sample_waits, sample_lag_s)]
    )


@pytest.mark.parametrize(
    ("entities", "seconds", "expected"),
    [
        (None, 171.0, None),
        (0, 359.0, None),
        (0, 360.0, Ending.NOTHING_LEARNED),
        (None, 360.0, Ending.NOTHING_LEARNED),
        (1, 169.0, None),
        (1, 170.0, Ending.LIMIT),
        (40, 1.0, Ending.GOAL),
        (40, 500.0, Ending.GOAL),
    ],
)
def test_a_run_is_not_over_before_its_first_feature_up_to_its_patience(
    entities: int | None, seconds: float, expected: Ending | None
) -> None:
    assert BOUNDS.ending(_reading(entities), all_sent=True, seconds=seconds) is expected


def test_patience_never_shortens_a_longer_limit() -> None:
    bounds = Bounds(limit_s=900.0, patience_s=360.0)
    assert bounds.ending(Reading(), all_sent=True, seconds=899.0) is None
    assert bounds.ending(Reading(), all_sent=True, seconds=900.0) is Ending.NOTHING_LEARNED


@pytest.mark.parametrize(
    ("reading", "all_sent"),
    [
        (_reading(40), False),
        (_reading(40, waiting=1), True),
        (_reading(40, sample_lag_s=60.0), True),
        (Reading(entities=40), True),
    ],
)
def test_enough_entities_are_no_goal_while_input_waits(reading: Reading, *, all_sent: bool) -> None:
    assert BOUNDS.ending(reading, all_sent=all_sent, seconds=1.0) is None


def test_young_records_that_sample_wrote_itself_do_not_hinder_the_goal() -> None:
    assert counted(_reading(40, sample_lag_s=0.5))


@pytest.mark.parametrize(
    ("ending", "reading", "said"),
    [
        (Ending.GOAL, _reading(41), "41 entities have features."),
        (Ending.GOAL, replace(_reading(41), learned_now=41), "41 entities have features."),
        (
            Ending.GOAL,
            replace(_reading(41), learned_now=16),
            "41 entities have features, 25 of them from earlier",
        ),
        (Ending.LIMIT, _reading(12), "12 of 40 wanted entities"),
        (Ending.LIMIT, _reading(50, waiting=3), "not all of the input is counted yet"),
        (Ending.NOTHING_LEARNED, Reading(), "No feature was to be seen 360 s after the workers began"),
        (Ending.INTERRUPTED, Reading(), "Interrupted"),
        (Ending.FAILED, Reading(), "failed"),
    ],
)
def test_what_happened_is_said(ending: Ending, reading: Reading, said: str) -> None:
    assert said in BOUNDS.sentence(ending, reading)


def test_the_default_patience_is_the_documented_one() -> None:
    assert Bounds().longest_s == DEFAULT_PATIENCE_S == 360.0
