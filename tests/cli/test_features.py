"""What `cosmo features apply` says beside what it did."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from cosmo.cli.main import main
from features.online import eviction


@pytest.mark.parametrize("policy", ["allkeys-lru", "noeviction"])
def test_applying_warns_of_a_redis_that_throws_features_away(
    policy: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def applied(_: object) -> SimpleNamespace:
        return SimpleNamespace(directory=Path("repository"), whole=True)

    async def told(_: object) -> str | None:
        return eviction.judged({"maxmemory": 8_000_000_000, "maxmemory_policy": policy})

    monkeypatch.setattr("cosmo.runtime.logs.configure", lambda _settings: None)
    monkeypatch.setattr("features.store.apply", applied)
    monkeypatch.setattr("features.online.eviction.warning", told)
    with pytest.raises(SystemExit) as end:
        main(["features", "apply", "--json"])
    said = capsys.readouterr()
    assert end.value.code == 0
    warns = policy != "noeviction"
    assert ("Redis forgets features in silence when it holds 8.0 GB" in said.err) is warns
    assert (json.loads(said.out)["warning"] is not None) is warns
