"""The look-up API over HTTP: thin over `Reader`; ``/openapi.json`` describes it.

Keys may hold anything, slashes and line feeds too, percent-encoded. Some clients rewrite the keys ``.`` and ``..`` in
a path before they send it; ``POST /v1/lookup`` takes those.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client.exposition import choose_encoder
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException

from cosmo.runtime import health, logs
from cosmo.runtime.errors import CosmoError
from cosmo.runtime.metrics import REGISTRY, counter, histogram, tell_build
from features.errors import DamagedRow
from features.lookup.answers import (
    Answer,
    BatchAnswer,
    ProductComplements,
    ProductIntents,
    QueryIntents,
    Refusal,
    Status,
)
from features.lookup.keys import is_blank
from features.lookup.reader import Reader

MAX_KEY_CHARS = 512
"""As in the input contract: nothing longer was ever learned from."""
UNAVAILABLE = "unavailable"
log = logs.get(__name__)


class _KeyConvertor(Convertor[str]):
    """A path parameter that takes every character; Starlette's own stop at a slash or at a line feed."""

    regex = r"[\s\S]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("key", _KeyConvertor())


def _visible(key: str) -> str:
    if is_blank(key):
        raise PydanticCustomError("blank", "nothing of this key can be seen")
    return key


Key = Annotated[str, StringConstraints(min_length=1, max_length=MAX_KEY_CHARS), AfterValidator(_visible)]
Explain = Annotated[bool, Field(description="Tell of each intent why: the pair, its products, template and scores.")]


class Options(BaseModel):
    """What may stand behind the question mark of a path. Anything else is refused: a misspelt `explain` would be
    ignored without a word."""

    model_config = ConfigDict(extra="forbid")

    explain: Explain = False


class Health(BaseModel):
    """Whether the process works, and what a person should see to though it does."""

    healthy: bool
    notes: list[str]


class BatchQuestion(BaseModel):
    """Keys to look up, COSMO_LOOKUP_BATCH of them at most, in any mixture."""

    model_config = ConfigDict(extra="forbid")

    queries: list[Key] = Field([], description="For the intents of queries, as shoppers typed them.")
    products: list[Key] = Field([], description="For the intents of products.")
    complements: list[Key] = Field([], description="For the complements of products.")
    explain: Explain = False

    @property
    def keys(self) -> int:
        return len(self.queries) + len(self.products) + len(self.complements)


class TooManyKeys(CosmoError):  # noqa: N818 - an outcome, named by what it says
    """More keys in one batch than the settings allow."""


_REFUSALS: dict[int | str, dict[str, Any]] = {
    422: {"model": Refusal, "description": "The question cannot be answered as it stands."},
    503: {
        "model": Refusal,
        "description": "Redis does not answer, or holds no features; or the one row asked for cannot be read.",
    },
}


def create(reader: Reader, *, max_keys: int) -> FastAPI:
    """The ASGI application; it closes the reader when it ends."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await reader.close()

    app = FastAPI(
        title="Cosmo look-ups",
        summary="Why shoppers search and buy: intents of queries and products, and complements.",
        version=version("cosmo-streams"),
        lifespan=lifespan,
        docs_url=None,  # it would load scripts from elsewhere
        redoc_url=None,
    )
    tell_build("lookup")
    _handle_errors(app)
    _add_lookups(app, reader, max_keys)
    _add_probes(app, reader)
    return app


def _add_lookups(app: FastAPI, reader: Reader, max_keys: int) -> None:
    @app.get("/v1/queries/{query:key}/intents", response_model=QueryIntents, responses=_REFUSALS)
    async def query_intents(query: Key, options: Annotated[Options, Query()]) -> Response:
        """Why shoppers search this. The query may be as it was typed: it is normalized as the stream does it."""
        return await _measured("query_intents", lambda: reader.query(query, explain=options.explain))

    @app.get("/v1/products/{product_id:key}/intents", response_model=ProductIntents, responses=_REFUSALS)
    async def product_intents(product_id: Key, options: Annotated[Options, Query()]) -> Response:
        """Why shoppers buy this product, from the searches that led to it."""
        return await _measured("product_intents", lambda: reader.product(product_id, explain=options.explain))

    @app.get("/v1/products/{product_id:key}/complements", response_model=ProductComplements, responses=_REFUSALS)
    async def product_complements(product_id: Key, options: Annotated[Options, Query()]) -> Response:
        """What shoppers buy with this product, and why."""
        return await _measured("product_complements", lambda: reader.complements(product_id, explain=options.explain))

    @app.post("/v1/lookup", response_model=BatchAnswer, responses=_REFUSALS)
    async def batch(asked: BatchQuestion) -> Response:
        """Many keys in one round trip; the answers stand in the order asked.

        A row that cannot be read costs no other its answer: in its place stands one of status `damaged`, without
        intents, whose `refusal` names the row, as the body of a 503 does.
        """
        if asked.keys > max_keys:
            raise TooManyKeys(f"{asked.keys} keys in one batch; {max_keys} are allowed.", advice="Ask in parts.")
        parts = (asked.queries, asked.products, asked.complements)
        return await _measured("batch", lambda: reader.batch(*parts, explain=asked.explain))


def _add_probes(app: FastAPI, reader: Reader) -> None:
    @app.get("/healthz")
    async def healthz() -> Health:
        """Whether this process works. Redis being away is no reason to restart it, nor are damaged rows: `notes`."""
        return Health(healthy=True, notes=health.notes())

    @app.get("/readyz", responses={503: _REFUSALS[503]})
    async def readyz() -> dict[str, bool]:
        """Whether look-ups can be answered: Redis is there and holds features."""
        await reader.check()
        return {"ready": True}

    @app.get("/metrics", include_in_schema=False)
    async def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return Response(encode(REGISTRY), headers={"Content-Type": content_type})


async def _measured(endpoint: str, look_up: Callable[[], Awaitable[Answer | BatchAnswer]]) -> Response:
    """The answer as it goes out: FastAPI would validate a model once more before it writes it."""
    began_s = time.perf_counter()
    try:
        answer = await look_up()
    except CosmoError as error:
        status = Status.DAMAGED if isinstance(error, DamagedRow) else UNAVAILABLE
        counter("cosmo_lookups_total").labels(endpoint, status).inc()
        raise
    body = answer.model_dump_json()
    histogram("cosmo_lookup_seconds").labels(endpoint).observe(time.perf_counter() - began_s)
    for status in _statuses(answer):
        counter("cosmo_lookups_total").labels(endpoint, status).inc()
    return Response(body, media_type="application/json")


def _statuses(answer: Answer | BatchAnswer) -> Iterable[Status]:
    if isinstance(answer, BatchAnswer):
        return [one.status for one in (*answer.queries, *answer.products, *answer.complements)]
    return [answer.status]


def _handle_errors(app: FastAPI) -> None:
    @app.exception_handler(TooManyKeys)
    async def too_many(_: Request, error: TooManyKeys) -> JSONResponse:
        return _refusal(422, error.what, error.advice)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        problems = "; ".join(f"{_place(problem['loc'])}: {problem['msg']}" for problem in error.errors())
        return _refusal(422, f"The question cannot be read: {problems}.", _advice(request))

    @app.exception_handler(HTTPException)
    async def nowhere(request: Request, error: HTTPException) -> JSONResponse:
        what = f"{request.method} {request.url.path}: {error.detail}."
        return _refusal(error.status_code, what, "See /openapi.json.", headers=dict(error.headers or {}))

    @app.exception_handler(CosmoError)
    async def unavailable(request: Request, error: CosmoError) -> JSONResponse:
        log.warning("no answer", path=request.url.path, reason=error.what)
        return _refusal(503, error.what, error.advice, headers={"Retry-After": "1"})


def _advice(request: Request) -> str:
    if request.method == "POST" and "json" not in request.headers.get("Content-Type", ""):
        return "Send JSON, with the header Content-Type: application/json."
    return "See /openapi.json."


def _place(loc: Iterable[object]) -> str:
    return ".".join(str(part) for part in loc if part != "path") or "body"


def _refusal(status: int, error: str, advice: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse(Refusal(error=error, advice=advice).model_dump(), status, headers)
