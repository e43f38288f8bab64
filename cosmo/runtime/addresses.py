"""What an address in a setting must look like: checked where settings are read, so that no client has to. Pure.

Nothing here repeats the address in what it says, since one may hold a password.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, SecretStr
from pydantic_core import PydanticCustomError

_SERVER = re.compile(r"(?:\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._-]+):(\d{1,5})")
_DATABASE = re.compile(r"/?\d*")


def servers(text: str) -> str:
    """``host:port,…`` without the spaces that somebody may have put between them. Raises PydanticCustomError."""
    listed = [server.strip() for server in text.split(",")]
    found = [_SERVER.fullmatch(server) for server in listed]
    if not all(server is not None and _is_port(int(server[1])) for server in found):
        raise _malformed("host:port, or several with commas between them, as in 127.0.0.1:9092")
    return ",".join(listed)


def http_url(text: str) -> str:
    """The root of an HTTP server. Raises PydanticCustomError."""
    if _split(text, {"http", "https"}) is None:
        raise _malformed("http://host:port or https://host:port, with a path where it needs one")
    return text


def redis_url(text: str) -> str:
    """One Redis, or one node of a cluster. Raises PydanticCustomError."""
    url = _split(text, {"redis", "rediss"})
    if url is None or not _DATABASE.fullmatch(url.path):
        raise _malformed("redis://[user:password@]host:port/db (rediss:// for TLS), as in redis://127.0.0.1:6379/0")
    return text


def _secret_redis_url(secret: SecretStr) -> SecretStr:
    redis_url(secret.get_secret_value())
    return secret


KafkaServers = Annotated[str, AfterValidator(servers)]
HttpUrl = Annotated[str, AfterValidator(http_url)]
RedisUrl = Annotated[SecretStr, AfterValidator(_secret_redis_url)]


def _split(text: str, schemes: Collection[str]) -> SplitResult | None:
    """The parts of a URL of one of these schemes that names a host; None if it is none."""
    try:
        url = urlsplit(text)
        named = url.scheme in schemes and bool(url.hostname) and (url.port is None or _is_port(url.port))
    except ValueError:  # brackets that do not match, a port that is no number
        return None
    return url if named and not re.search(r"\s", text) else None


def _is_port(number: int) -> bool:
    return 0 < number < 65_536


def _malformed(form: str) -> PydanticCustomError:
    return PydanticCustomError("address", "it is not of the form {form}", {"form": form})
