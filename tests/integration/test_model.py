"""The client on the real llama.cpp, through the contract that the scripted server passes too; and what it answers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from cosmo.runtime.settings import Settings
from inference.client import LmClient
from inference.handler import sampling_params
from inference.http_client import connect
from inference.judged import judge
from inference.pairs import prompts_of
from tests.conftest import SessionStack
from tests.inference.client_contract import TIMEOUT_S, ClientContract
from tests.inference.examples import co_buy, pair

pytestmark = pytest.mark.integration


class TestLlamaCpp(ClientContract):
    @pytest_asyncio.fixture
    async def lm(self, stack: SessionStack) -> AsyncIterator[LmClient]:  # type: ignore[override]  # pytest fills it in
        client = connect(Settings(lm_url=stack.lm_url))
        yield client
        await client.close()

    async def test_real_answers_become_intents_and_named_refusals(self, lm: LmClient) -> None:
        """Of a dozen prompts some answers are kept: the templates and the filters belong to one model."""
        params, kept, asked = sampling_params(Settings()), 0, 0
        for of in (pair(), co_buy()):
            prompts = prompts_of(of, 6)
            answers = await lm.complete([prompt.text for prompt in prompts], params, timeout_s=TIMEOUT_S)
            judged = judge(of, list(zip(prompts, answers, strict=True)))
            kept, asked = kept + len(judged.accepted), asked + len(prompts)
            assert len(judged.accepted) + len(judged.rejected) == len(prompts)
        assert 0 < kept < asked
