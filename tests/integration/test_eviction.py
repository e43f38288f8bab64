"""A real Redis tells how it makes room."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from cosmo.runtime.settings import Settings
from features.online import eviction

pytestmark = pytest.mark.integration


async def test_a_redis_is_warned_of_while_it_may_throw_features_away(settings: Settings) -> None:
    redis = Redis.from_url(settings.redis_url.get_secret_value())
    before = await redis.config_get("maxmemory*")
    try:
        assert await eviction.warning(settings) is None
        await redis.config_set("maxmemory", 8_000_000_000)
        await redis.config_set("maxmemory-policy", "allkeys-lru")
        assert "8.0 GB" in (await eviction.warning(settings) or "")
    finally:
        for name in ("maxmemory", "maxmemory-policy"):
            await redis.config_set(name, before[name])
        await redis.aclose()
