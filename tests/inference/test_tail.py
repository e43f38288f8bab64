"""A candidate's text as a tail."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.asked import Candidate, Token
from inference.tail import tail_of
from schemas.text import clean


@pytest.mark.parametrize(("text", "tail"), [
    (" walking the dog", "walking the dog"),
    (" walking the dog. It is good for", "walking the dog"),
    (" 1. walking the dog\n2. biking", "walking the dog"),
    (" - walking the dog", "walking the dog"),
    (' "walking the dog."', "walking the dog"),
    (" a 2.5 liter bottle", "a 2.5 liter bottle"),
    (" keeping warm; keeping dry", "keeping warm"),
    (" walking   the\tdog!", "walking the dog"),
    (" St. Patrick", "St"),  # a known loss: it is refused as too short
    (" walking\x00 the \u202edog", "walking the dog"),
    ("", ""),
    (" ...", ""),
])  # fmt: skip
def test_the_first_sentence_without_marks_is_the_tail(text: str, tail: str) -> None:
    assert tail_of(Candidate(text=text, tokens=(), cut=False)).text == tail


@given(st.text(max_size=60), st.booleans())
def test_a_tail_is_one_trimmed_line_whatever_the_model_says(text: str, cut: bool) -> None:
    tail = tail_of(Candidate(text=text, tokens=(), cut=cut))
    assert tail.text == clean(tail.text)
    assert "\n" not in tail.text
    assert tail.mean_logprob is None


def test_a_candidate_cut_after_its_first_sentence_is_whole() -> None:
    assert not tail_of(Candidate(text=" walking the dog. It is", tokens=(), cut=True)).cut
    assert tail_of(Candidate(text=" walking the", tokens=(), cut=True)).cut


def test_only_the_tokens_of_the_tail_count() -> None:
    """vLLM counts the stop text among the tokens, llama.cpp does not; the second sentence is no part of the tail."""
    tail = (Token(" walking", -1.0), Token(" dogs", -2.0))
    rest = (Token(".", -9.0), Token(" Cats", -9.0))
    assert tail_of(Candidate(text=" walking dogs. Cats", tokens=(*tail, *rest), cut=False)).mean_logprob == -1.5
    assert tail_of(Candidate(text=" walking dogs", tokens=(*tail, Token("\n", -9.0)), cut=False)).mean_logprob == -1.5
