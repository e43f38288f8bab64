"""A Redis that may throw features away is warned of; one that does not tell is not."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from cosmo.runtime.settings import Settings
from features.online import eviction


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random"])
def test_a_policy_that_chooses_among_all_keys_is_warned_of(policy: str) -> None:
    said = eviction.judged({"maxmemory": 2_500_000_000, "maxmemory_policy": policy}) or ""
    assert policy in said
    assert "2.5 GB" in said
    assert "noeviction" in said


@pytest.mark.parametrize(
    "memory",
    [
        {"maxmemory": 0, "maxmemory_policy": "allkeys-lru"},
        {"maxmemory": 10**9, "maxmemory_policy": "noeviction"},
        {"maxmemory": 10**9, "maxmemory_policy": "volatile-lru"},  # of keys that expire, and ours do not
        {"maxmemory": 10**9},
        {"maxmemory_policy": "allkeys-lru"},
        {},
    ],
)
def test_what_evicts_nothing_of_ours_or_does_not_tell_is_not_warned_of(memory: dict[str, Any]) -> None:
    assert eviction.judged(memory) is None


async def test_a_redis_that_is_away_is_no_reason_to_warn_or_to_fail() -> None:
    assert await eviction.warning(Settings(redis_url=SecretStr("redis://127.0.0.1:1/0"))) is None
