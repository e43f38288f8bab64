"""Whether Redis may throw features away to make room: a reader would be told "nothing known", and nobody would be told.

Ours never expire, so of Redis' policies only those of the family allkeys choose them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from cosmo.runtime import logs
from cosmo.runtime.settings import Settings
from features.online.redis_store import CONNECT_TIMEOUT_S

log = logs.get(__name__)


async def warn(settings: Settings) -> None:
    """Log the warning, if there is one."""
    if (sentence := await warning(settings)) is not None:
        log.warning(sentence)


async def warning(settings: Settings) -> str | None:
    """What a person should know of the server that REDIS_URL names; None if nothing is wrong, or it does not tell. Of a
    cluster one node is asked."""
    client = Redis.from_url(
        settings.redis_url.get_secret_value(),
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_timeout=CONNECT_TIMEOUT_S,
    )
    try:
        return judged(await client.info("memory"))  # CONFIG GET is forbidden by most who host Redis
    except (RedisError, OSError):
        return None
    finally:
        await client.aclose()


def judged(memory: Mapping[str, Any]) -> str | None:
    """The warning, by Redis' section ``memory`` of INFO."""
    policy, most_bytes = str(memory.get("maxmemory_policy", "")), memory.get("maxmemory")
    if not policy.startswith("allkeys-") or not isinstance(most_bytes, int) or most_bytes == 0:
        return None
    return (
        f"Redis forgets features in silence when it holds {most_bytes / 1e9:,.1f} GB, as its maxmemory-policy is "
        f"{policy}. Set that to noeviction."
    )
