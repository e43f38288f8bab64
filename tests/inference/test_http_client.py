"""The client against a server that answers in both forms, and in none: what each failure is called."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from cosmo.runtime.settings import Settings
from inference.asked import SamplingParams
from inference.client import LmClient
from inference.errors import BadAnswer, InferenceError, ModelFailed, ModelSlow, ModelUnavailable, PromptRefused
from inference.http_client import HttpLmClient, connect
from tests.inference.client_contract import ClientContract
from tests.support.scripted_answers import answers
from tests.support.scripted_model import Script, ScriptedModel, scripted_model

PARAMS = SamplingParams()


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    with scripted_model() as model:
        yield model


@pytest_asyncio.fixture
async def client(model: ScriptedModel) -> AsyncIterator[HttpLmClient]:
    client = connect(Settings(lm_url=model.url))
    yield client
    await client.close()


async def ask(client: LmClient, *texts: str, timeout_s: float = 20.0) -> list[str]:
    found = await client.complete(texts or ("a",), PARAMS, timeout_s=timeout_s)
    return [answer.candidates[0].text for answer in found]


class TestLlamaCppForm(ClientContract):
    form: Any = "llamacpp"

    @pytest_asyncio.fixture
    async def lm(self) -> AsyncIterator[LmClient]:
        with scripted_model(Script(form=self.form)) as model:
            client = connect(Settings(lm_url=model.url))
            yield client
            await client.close()


class TestVllmForm(TestLlamaCppForm):
    form = "vllm"


@pytest.mark.parametrize(("status", "kind"), [
    (400, PromptRefused), (413, PromptRefused), (422, PromptRefused),
    (401, ModelUnavailable), (403, ModelUnavailable), (404, ModelUnavailable), (429, ModelUnavailable),
    (502, ModelUnavailable), (503, ModelUnavailable), (504, ModelUnavailable), (302, ModelUnavailable),
    (500, ModelFailed),
])  # fmt: skip
async def test_what_each_status_is_called(
    client: HttpLmClient, model: ScriptedModel, status: int, kind: type[InferenceError]
) -> None:
    await ask(client)
    model.change(status=status)
    with pytest.raises(kind, match=str(status)):
        await ask(client)
    model.change(status=200)
    assert len(await ask(client)) == 1


@pytest.mark.parametrize("wrong", ["short", "no_logprobs", "not_json"])
async def test_an_answer_that_does_not_fit_the_question_is_refused(
    client: HttpLmClient, model: ScriptedModel, wrong: str
) -> None:
    await ask(client)
    model.change(wrong=wrong)
    with pytest.raises(BadAnswer):
        await ask(client, "a", "b")


async def test_choices_are_matched_by_their_index_and_not_by_their_place(
    client: HttpLmClient, model: ScriptedModel
) -> None:
    straight = await ask(client, *"abcdefgh")
    model.change(wrong="shuffled")
    assert await ask(client, *"abcdefgh") == straight
    assert straight == [answers(text, n=1, max_tokens=16, temperature=0.0, seed=0)[0].text for text in "abcdefgh"]


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    with socket.socket() as taken:  # bound and not listening: connections to it are refused
        taken.bind(("127.0.0.1", 0))
        client = connect(Settings(lm_url=f"http://127.0.0.1:{taken.getsockname()[1]}"))
        with pytest.raises(ModelUnavailable, match="cannot be reached"):
            await ask(client)
        await client.close()


async def test_an_answer_after_the_deadline_is_slow(client: HttpLmClient, model: ScriptedModel) -> None:
    await ask(client)
    model.change(delay_s=5.0)
    with pytest.raises(ModelSlow):
        await ask(client, timeout_s=0.05)


async def test_a_connection_that_breaks_during_the_answer_may_be_the_prompts_fault() -> None:
    async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(hangs_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = connect(Settings(lm_url=f"http://127.0.0.1:{port}", lm_model="m"))
    with pytest.raises(ModelFailed, match="broke the connection"):
        await ask(client)
    await client.close()
    server.close()


async def test_the_key_is_sent_and_a_wrong_one_is_no_prompts_fault(model: ScriptedModel) -> None:
    model.change(api_key="secret")
    for key, kind in (("secret", None), ("wrong", ModelUnavailable)):
        client = connect(Settings(lm_url=f"{model.url}/v1/", lm_api_key=key))
        if kind is None:
            assert len(await ask(client)) == 1
        else:
            with pytest.raises(kind, match="COSMO_LM_API_KEY"):
                await ask(client)
        await client.close()


async def test_the_model_is_the_one_listed_and_listed_again_when_the_server_changes(
    client: HttpLmClient, model: ScriptedModel
) -> None:
    (first,) = await client.complete(["a"], PARAMS, timeout_s=20.0)
    assert first.model_id == "scripted-model"
    model.change(status=404, failures=1, model_id="another")
    with pytest.raises(ModelUnavailable):
        await ask(client)
    (second,) = await client.complete(["a"], PARAMS, timeout_s=20.0)
    assert second.model_id == "another"


async def test_text_that_no_json_can_carry_is_refused_before_it_is_sent(
    client: HttpLmClient, model: ScriptedModel
) -> None:
    with pytest.raises(PromptRefused):
        await ask(client, "half of a pair: \ud800")
    assert model.seen.prompts == 0
