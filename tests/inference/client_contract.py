"""What every `LmClient` must do, whatever answers behind it. Inherited by a test class for each."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from inference.asked import Answer, SamplingParams
from inference.client import LmClient
from inference.errors import PromptRefused
from inference.tail import tail_of

PROMPTS = (
    'Search: "umbrella"\nProduct: "Folding travel umbrella"\nThe product is used for staying dry in the rain\n\n'
    'Search: "diet soda"\nProduct: "Soft drinks, 12 pack cans"\nThe product is used for',
    "The capital of France is",
    "One, two, three,",
)
GREEDY = SamplingParams(n=1, max_tokens=8)
DRAWN = SamplingParams(n=3, max_tokens=8, temperature=0.9)
TIMEOUT_S = 120.0


def first_word(answer: Answer) -> str:
    """Enough to tell the prompts' answers apart. The rest may differ in a batch, which changes the order of sums and
    with it the last digits."""
    return answer.candidates[0].text.split()[0]


class ClientContract:
    """``lm`` is a client of a running model."""

    @pytest_asyncio.fixture
    async def lm(self) -> AsyncIterator[LmClient]:
        raise NotImplementedError
        yield

    async def test_each_prompt_gets_an_answer_with_n_candidates_in_order(self, lm: LmClient) -> None:
        alone = [first_word((await lm.complete([text], GREEDY, timeout_s=TIMEOUT_S))[0]) for text in PROMPTS]
        together = await lm.complete(PROMPTS, GREEDY, timeout_s=TIMEOUT_S)
        assert [first_word(answer) for answer in together] == alone
        drawn = await lm.complete(PROMPTS, DRAWN, timeout_s=TIMEOUT_S)
        assert [len(answer.candidates) for answer in drawn] == [DRAWN.n] * len(PROMPTS)

    async def test_a_candidate_has_tokens_with_log_probabilities_that_spell_it(self, lm: LmClient) -> None:
        for answer in await lm.complete(PROMPTS, GREEDY, timeout_s=TIMEOUT_S):
            (candidate,) = answer.candidates
            assert "".join(token.text for token in candidate.tokens).startswith(candidate.text)
            assert all(token.logprob <= 0.0 and math.isfinite(token.logprob) for token in candidate.tokens)
            assert tail_of(candidate).mean_logprob is not None

    async def test_no_candidate_is_longer_than_asked_and_a_cut_one_says_so(self, lm: LmClient) -> None:
        short = SamplingParams(n=1, max_tokens=2)
        (answer,) = await lm.complete([PROMPTS[0]], short, timeout_s=TIMEOUT_S)
        assert len(answer.candidates[0].tokens) <= 2
        assert answer.candidates[0].cut

    async def test_a_stop_text_ends_a_candidate_and_is_not_in_it(self, lm: LmClient) -> None:
        for answer in await lm.complete(PROMPTS, DRAWN, timeout_s=TIMEOUT_S):
            assert not any("\n" in candidate.text for candidate in answer.candidates)

    async def test_the_same_question_with_the_same_seed_has_the_same_answer(self, lm: LmClient) -> None:
        """Asked alone, one at a time."""
        for params in (GREEDY, DRAWN):
            first, second = [await lm.complete([PROMPTS[1]], params, timeout_s=TIMEOUT_S) for _ in range(2)]
            assert [one.text for one in first[0].candidates] == [one.text for one in second[0].candidates]

    async def test_the_answer_names_its_model(self, lm: LmClient) -> None:
        (answer,) = await lm.complete([PROMPTS[1]], GREEDY, timeout_s=TIMEOUT_S)
        assert len(answer.model_id) > 3
        assert answer.at.tzinfo is not None

    async def test_a_prompt_beyond_the_context_is_refused_and_the_connection_lives_on(self, lm: LmClient) -> None:
        with pytest.raises(PromptRefused):
            await lm.complete([PROMPTS[1], "word " * 20_000], GREEDY, timeout_s=TIMEOUT_S)
        assert len(await lm.complete([PROMPTS[1]], GREEDY, timeout_s=TIMEOUT_S)) == 1

    async def test_several_requests_at_once_get_their_own_answers(self, lm: LmClient) -> None:
        alone = [first_word((await lm.complete([text], GREEDY, timeout_s=TIMEOUT_S))[0]) for text in PROMPTS]
        at_once = await asyncio.gather(*(lm.complete([text], GREEDY, timeout_s=TIMEOUT_S) for text in PROMPTS))
        assert [first_word(answers[0]) for answers in at_once] == alone
