"""What a failed attempt leads to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.blame import LONGEST_PAUSE_S, Verdict, judge, pause_s
from inference.errors import BadAnswer, ModelFailed, ModelSlow, PromptRefused, Suspect

SUSPECTS = (PromptRefused, ModelFailed, ModelSlow, BadAnswer)


@given(st.sampled_from(SUSPECTS), st.integers(2, 500), st.integers(1, 50))
def test_a_prompt_is_never_given_up_in_company(kind: type[Suspect], prompts: int, failures: int) -> None:
    assert judge(kind("x"), prompts=prompts, failures=failures) is not Verdict.GIVE_UP


@given(st.sampled_from(SUSPECTS), st.integers(1, 500))
def test_every_batch_is_halved_or_given_up_in_the_end(kind: type[Suspect], prompts: int) -> None:
    final = Verdict.HALVE if prompts > 1 else Verdict.GIVE_UP
    assert judge(kind("x"), prompts=prompts, failures=10) is final


@pytest.mark.parametrize(("kind", "alone", "together"), [
    (PromptRefused, 1, 1),  # a refusal is not mended by asking again
    (ModelSlow, 3, 1),      # half of a batch may be in time; the same batch again would not
    (ModelFailed, 3, 2),
    (BadAnswer, 3, 2),
])  # fmt: skip
def test_how_often_each_error_is_tried(kind: type[Suspect], alone: int, together: int) -> None:
    def tries(prompts: int) -> int:
        return next(n for n in range(1, 10) if judge(kind("x"), prompts=prompts, failures=n) is not Verdict.AGAIN)

    assert (tries(1), tries(8)) == (alone, together)


@given(st.integers(1, 10_000), st.floats(0.0, 1.0))
def test_pauses_are_bounded(attempts: int, jitter: float) -> None:
    assert 0.0 <= pause_s(attempts, jitter) <= LONGEST_PAUSE_S
    assert pause_s(attempts, 1.0) <= pause_s(attempts + 1, 1.0)
