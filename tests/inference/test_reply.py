"""A server's JSON as answers: read as meant, or refused."""

from __future__ import annotations

import math
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.asked import Token
from inference.errors import BadAnswer
from inference.reply import answers_of
from tests.inference.examples import NOW

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["choices", "index", "text", "logprobs", "content", "token", "logprob", "finish_reason"]),
        inner,
        max_size=4,
    ),
)  # fmt: skip


def choice(index: int, text: str, **changes: Any) -> dict[str, Any]:
    logprobs = {"tokens": [text, "\n"], "token_logprobs": [-0.5, -0.1]}
    return {"index": index, "text": text, "finish_reason": "stop", "logprobs": logprobs, **changes}


def read(choices: Any, prompts: int = 2, n: int = 1) -> tuple[Any, ...]:
    body = orjson.dumps({"choices": choices, "model": "m"})
    return answers_of(body, prompts=prompts, n=n, model_id="asked", at=NOW)


def test_candidates_go_to_their_prompts() -> None:
    found = read([choice(index, f"text {index}") for index in (3, 1, 0, 2)], n=2)
    assert [[one.text for one in answer.candidates] for answer in found] == [["text 0", "text 1"], ["text 2", "text 3"]]


def test_both_forms_of_log_probabilities_are_the_same() -> None:
    chat = {"content": [{"token": "a", "logprob": -0.5}, {"token": "\n", "logprob": -0.1}]}
    first, second = read([choice(0, "a"), choice(1, "a", logprobs=chat)])
    assert first.candidates == second.candidates
    assert first.candidates[0].tokens == (Token("a", -0.5), Token("\n", -0.1))


@pytest.mark.parametrize("broken", [
    [choice(0, "a")],
    [choice(0, "a"), choice(0, "b")],
    [choice(0, "a"), choice(2, "b")],
    [choice(0, "a"), choice(1, "b"), choice(2, "c")],
    [choice(0, "a"), choice(1, "b", logprobs=None)],
    [choice(0, "a"), {**choice(1, "b"), "text": None}],
    [choice(0, "a"), choice(1, "b", logprobs={"tokens": ["b"], "token_logprobs": []})],
    [choice(0, "a"), choice(1, "b", logprobs={"tokens": ["b"], "token_logprobs": [None]})],
    [choice(0, "a"), choice(1, "b", logprobs={"tokens": [], "token_logprobs": []})],
    [choice(0, "a"), choice(1, "b", logprobs={"tokens": [311, 4567], "token_logprobs": [-0.1, -0.2]})],
    [choice(0, "a"), choice(1, "b", logprobs={"content": [{"token": None, "logprob": -0.1}]})],
    [choice(0, "a"), {"index": 1, "text": "b"}],
    None,
    {},
])  # fmt: skip
def test_what_does_not_fit_is_refused(broken: Any) -> None:
    with pytest.raises(BadAnswer):
        read(broken)


def test_an_infinite_log_probability_is_refused_and_one_above_zero_is_certainty() -> None:
    """JSON has no infinity, but Python's servers write one."""
    body = b'{"choices": [{"index": 0, "text": "a", "finish_reason": "stop", "logprobs": %s}]}'
    for logprob in (b"-Infinity", b"NaN"):
        with pytest.raises(BadAnswer):
            answers_of(
                body % (b'{"tokens": ["a"], "token_logprobs": [%s]}' % logprob), prompts=1, n=1, model_id="m", at=NOW
            )
    (answer,) = read([choice(0, "a", logprobs={"tokens": ["a"], "token_logprobs": [1e-9]})], prompts=1)
    assert answer.candidates[0].tokens[0].logprob == 0.0


def test_a_reply_without_a_model_carries_the_one_that_was_asked() -> None:
    (answer,) = answers_of(orjson.dumps({"choices": [choice(0, "a")]}), prompts=1, n=1, model_id="asked", at=NOW)
    assert answer.model_id == "asked"


@given(JSON)
def test_whatever_json_comes_it_is_read_or_refused(document: Any) -> None:
    try:
        found = answers_of(orjson.dumps({"choices": document}), prompts=1, n=1, model_id="m", at=NOW)
    except BadAnswer:
        return
    assert len(found) == 1
    assert all(math.isfinite(token.logprob) for token in found[0].candidates[0].tokens)


@given(st.binary())
def test_whatever_bytes_come_they_are_read_or_refused(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        answers_of(body, prompts=1, n=1, model_id="m", at=NOW)
