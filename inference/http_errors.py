"""What an HTTP failure of a model server means; statuses as vLLM 0.11 and llama.cpp use them."""

from __future__ import annotations

from http import HTTPStatus

import httpx
import orjson

from inference.errors import InferenceError, ModelFailed, ModelUnavailable, PromptRefused

_REFUSED = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY})
_STRANGERS = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})
MAX_MESSAGE_CHARS = 300


def error_of_status(status: int, body: bytes) -> InferenceError:
    """The error behind a status other than 200."""
    said = f"{status}: {_message(body)}"
    if status in _REFUSED:
        return PromptRefused(f"The model server refused a prompt ({said}).")
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return ModelFailed(f"The model server failed ({said}).")
    if status in _STRANGERS:
        advice = "Check COSMO_LM_URL, COSMO_LM_MODEL and COSMO_LM_API_KEY."
        return ModelUnavailable(f"The model server does not serve us ({said}).", advice=advice)
    return ModelUnavailable(f"The model server cannot answer now ({said}).")


def error_of_transport(error: httpx.HTTPError, url: str) -> InferenceError:
    """The error behind an exchange that did not end. A connection that was never made says nothing about a prompt; one
    that broke while the server was at work may have been broken by one."""
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)):
        return ModelUnavailable(f"The model server at {url} cannot be reached.", advice="It is tried again.")
    if isinstance(error, httpx.TransportError):
        return ModelFailed(f"The model server broke the connection ({type(error).__name__}).")
    return ModelUnavailable(f"The model server at {url} cannot be used: {error}.", advice="Check COSMO_LM_URL.")


def _message(body: bytes) -> str:
    """The server's own words: ``error.message`` where it sends JSON, the body's beginning otherwise."""
    text = body[: 4 * MAX_MESSAGE_CHARS].decode("utf-8", "replace")
    try:
        document = orjson.loads(body)
        error = document.get("error", document)
        text = str(error.get("message", text))
    except (orjson.JSONDecodeError, AttributeError):
        pass
    return " ".join(text.split())[:MAX_MESSAGE_CHARS] or "no reason given"
