"""The registry's REST interface and nothing else: requests, retries, and what each kind of answer means for us.

Confluent's own Python client is not used: it brings an OAuth library and a second cache, and its errors do not tell
"no such schema" from "no such path", on which here depends whether a record is a dead letter.
"""

from __future__ import annotations

import random
import ssl
import time
from collections.abc import Callable
from typing import Any

import httpx

from cosmo.runtime.settings import Settings
from schemas.errors import RegistryRefused, RegistryUnreachable

REQUEST_S = 5.0  # one request; a registry answers in milliseconds, so this much silence means that it is gone
ATTEMPTS = 3  # then the caller decides; a worker that waits here for minutes would look dead
RETRY_WAIT_S = 0.2  # doubled each time, with jitter

_CONTENT = "application/vnd.schemaregistry.v1+json"
_ABSENT = frozenset({40401, 40402, 40403})  # no such subject, version, schema: the registry's words, not a proxy's
_BUSY = frozenset({408, 429, 500, 502, 503, 504})
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class RegistryHttp:
    """Blocking requests, at most ``ATTEMPTS`` of ``REQUEST_S`` each; safe to share between threads."""

    def __init__(self, settings: Settings, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client, self.address = _client(settings)
        self._sleep = sleep

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def ask(self, method: str, path: str, body: object = None, *, bare_404_is_absent: bool = False) -> Any:
        """The answer's JSON object; None when the registry says that there is no such thing.

        Raises RegistryUnreachable when it does not answer or cannot now, RegistryRefused for every other answer.
        A 404 without the registry's own error code is a wrong address, unless ``bare_404_is_absent``.
        """
        response = self._patiently(method, path, body)
        content = _json(response)
        if response.status_code == 404 and (content.get("error_code") in _ABSENT or bare_404_is_absent):
            return None
        if not response.is_success or not content:
            message = content.get("message") or f"HTTP {response.status_code}"
            raise RegistryRefused(f"{self._name} refused {method} {path}: {message}.", advice=_advice(response))
        return content

    @property
    def _name(self) -> str:
        return f"The schema registry at {self.address}"

    def _patiently(self, method: str, path: str, body: object) -> httpx.Response:
        cause: httpx.TransportError | None = None
        for attempt in range(ATTEMPTS):
            if attempt:
                self._sleep(RETRY_WAIT_S * 2**attempt * random.uniform(0.5, 1.0))
            try:
                response = self._client.request(method, path, json=body)
            except httpx.TransportError as error:
                trouble, cause = f"does not answer ({error})", error
                continue
            if response.status_code not in _BUSY:
                return response
            trouble, cause = f"answers {response.status_code} to {method} {path}", None
        raise RegistryUnreachable(
            f"{self._name} {trouble}.", advice="Start one with `cosmo stack up`, or set SCHEMA_REGISTRY_URL."
        ) from cause


def _json(response: httpx.Response) -> dict[str, Any]:
    """The object in an answer; empty for anything else, such as a proxy's HTML page."""
    try:
        content = response.json()
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _client(settings: Settings) -> tuple[httpx.Client, str]:
    """The HTTP client, and the address without credentials, which may be shown."""
    try:
        url = httpx.URL(settings.schema_registry_url.rstrip("/") + "/")
        if url.scheme not in {"http", "https"} or not url.host:
            raise ValueError(f"{settings.schema_registry_url!r} is not an http or https address")
        client = httpx.Client(
            base_url=url,
            auth=_credentials(settings),
            verify=_trust(settings),
            timeout=REQUEST_S,
            headers={"Accept": f"{_CONTENT}, application/json", "Content-Type": _CONTENT},
            trust_env=url.host not in _LOOPBACK,  # a proxy of the environment cannot reach this machine's loopback
        )
    except (httpx.InvalidURL, ValueError, OSError) as error:  # ssl.SSLError is an OSError
        raise RegistryRefused(
            f"The schema registry's settings cannot be used: {error}.",
            advice="Check SCHEMA_REGISTRY_URL, SCHEMA_REGISTRY_USER_INFO and SCHEMA_REGISTRY_CA_LOCATION.",
        ) from error
    return client, str(url.copy_with(username=None, password=None)).rstrip("/")


def _credentials(settings: Settings) -> tuple[str, str] | None:
    user_info = settings.schema_registry_user_info.get_secret_value()
    if not user_info:
        return None
    user, colon, password = user_info.partition(":")
    if not colon:
        raise ValueError("SCHEMA_REGISTRY_USER_INFO is not user:password")
    return user, password


def _trust(settings: Settings) -> ssl.SSLContext | bool:
    location = settings.schema_registry_ca_location
    return ssl.create_default_context(cafile=location) if location else True


def _advice(response: httpx.Response) -> str:
    if response.status_code in {401, 403}:
        return "Check SCHEMA_REGISTRY_USER_INFO."
    if response.status_code in {409, 422}:
        return "Run `cosmo schemas check`, and compare with the versions that the registry has."
    return "Check the path in SCHEMA_REGISTRY_URL (Apicurio: /apis/ccompat/v7)."
