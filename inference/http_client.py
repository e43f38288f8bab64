"""The client of any OpenAI-compatible server: vLLM in production, llama.cpp on one machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus

import httpx
import orjson

from cosmo.runtime.metrics import counter, histogram
from cosmo.runtime.settings import Settings
from inference.asked import Answer, SamplingParams
from inference.errors import InferenceError, ModelSlow, ModelUnavailable, PromptRefused, Suspect
from inference.http_errors import error_of_status, error_of_transport
from inference.reply import answers_of

CONNECT_S = 5.0
"""A server that does not even accept a connection in this time is away; its answer may take much longer."""


@dataclass(slots=True)
class HttpLmClient:
    """An `LmClient` over ``/v1/completions``. Without ``model`` the first that ``/v1/models`` lists is asked, and
    listed again when the server no longer knows it."""

    http: httpx.AsyncClient
    model: str = ""
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    _listed: str = ""

    async def complete(self, texts: Sequence[str], params: SamplingParams, *, timeout_s: float) -> Sequence[Answer]:
        began_s = time.monotonic()
        try:
            found = await self._complete(texts, params, timeout_s)
        except InferenceError as error:
            outcome = error.reason if isinstance(error, Suspect) else "unavailable"
            counter("cosmo_lm_requests_total").labels(outcome).inc()
            raise
        counter("cosmo_lm_requests_total").labels("answered").inc()
        histogram("cosmo_lm_request_seconds").observe(time.monotonic() - began_s)
        return found

    async def close(self) -> None:
        await self.http.aclose()

    async def _complete(self, texts: Sequence[str], params: SamplingParams, timeout_s: float) -> Sequence[Answer]:
        model = self.model or self._listed or await self._list()
        try:
            body = await self._exchange("POST", "/v1/completions", timeout_s, _request(texts, params, model))
        except ModelUnavailable:
            self._listed = ""  # what answers next may be another server
            raise
        return answers_of(body, prompts=len(texts), n=params.n, model_id=model, at=self.now())

    async def _list(self) -> str:
        body = await self._exchange("GET", "/v1/models", CONNECT_S)
        try:
            self._listed = str(orjson.loads(body)["data"][0]["id"])
        except (KeyError, IndexError, TypeError, orjson.JSONDecodeError) as error:
            raise ModelUnavailable("The model server lists no model.", advice="Set COSMO_LM_MODEL.") from error
        return self._listed

    async def _exchange(self, method: str, path: str, timeout_s: float, content: bytes | None = None) -> bytes:
        """The body of a 200. The deadline is for the whole exchange: httpx's own limits begin anew with every byte."""
        timeout = httpx.Timeout(None, connect=CONNECT_S)
        try:
            async with asyncio.timeout(timeout_s):
                reply = await self.http.request(method, path, content=content, timeout=timeout)
        except TimeoutError as error:
            raise ModelSlow(f"The model server did not answer within {timeout_s:.0f} s.") from error
        except httpx.HTTPError as error:
            raise error_of_transport(error, str(self.http.base_url)) from error
        if reply.status_code != HTTPStatus.OK:
            raise error_of_status(reply.status_code, reply.content)
        return reply.content


def connect(settings: Settings) -> HttpLmClient:
    """A client of the settings' server; it connects when it is first used."""
    headers = {"Content-Type": "application/json"}
    if key := settings.lm_api_key.get_secret_value():
        headers["Authorization"] = f"Bearer {key}"
    root = settings.lm_url.rstrip("/").removesuffix("/v1")
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=2 * settings.lm_in_flight)
    http = httpx.AsyncClient(base_url=root, headers=headers, limits=limits, trust_env=False)
    return HttpLmClient(http, model=settings.lm_model)


def _request(texts: Sequence[str], params: SamplingParams, model: str) -> bytes:
    request = {
        "model": model,
        "prompt": texts,
        "n": params.n,
        "max_tokens": params.max_tokens,
        "temperature": params.temperature,
        "stop": params.stop,
        "seed": params.seed,
        "logprobs": 1,
    }
    try:
        return orjson.dumps(request)
    except orjson.JSONEncodeError as error:
        raise PromptRefused("A prompt is not valid Unicode.") from error
