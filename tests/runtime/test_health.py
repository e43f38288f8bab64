from __future__ import annotations

import httpx
import pytest

from cosmo.runtime import health
from cosmo.runtime.errors import CosmoError
from cosmo.runtime.waiting import Waiting
from tests.support.manual_clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def progress(clock: ManualClock) -> health.Progress:
    return health.Progress(clock, stalled_after_s=60)


def test_a_process_may_take_its_time_to_start_but_not_for_ever(clock: ManualClock, progress: health.Progress) -> None:
    clock.now_s += 60
    assert progress.judge().healthy
    clock.now_s += 1
    assert not progress.judge().healthy


def test_the_slowest_part_decides(clock: ManualClock, progress: health.Progress) -> None:
    progress.advance("pair-counts[0]")
    clock.now_s += 61
    progress.advance("pair-counts[1]")
    verdict = progress.judge()
    assert not verdict.healthy
    assert verdict.reason.startswith("pair-counts[0] has not moved for 61 s")
    assert verdict.age_s == 61


def test_a_revoked_partition_is_not_waited_for(clock: ManualClock, progress: health.Progress) -> None:
    progress.advance("pair-counts[0]")
    progress.forget("pair-counts[0]")
    clock.now_s += 10_000
    assert progress.judge().healthy


def test_a_part_that_moves_again_is_healthy_again(clock: ManualClock, progress: health.Progress) -> None:
    progress.advance()
    clock.now_s += 100
    progress.advance()
    assert progress.judge().healthy


def test_a_long_wait_is_unhealthy_by_itself_and_a_short_one_is_only_said(clock: ManualClock) -> None:
    waiting = Waiting(clock)
    progress = health.Progress(clock, stalled_after_s=60, waiting=waiting)
    progress.advance()
    waiting.failed("schema registry", "It does not answer.")
    clock.now_s += 60
    progress.advance()
    verdict = progress.judge()
    assert verdict.healthy
    assert verdict.reason.endswith("; waits for the schema registry for 60 s: It does not answer.")
    clock.now_s += 1
    assert not progress.judge().healthy
    waiting.answered("schema registry")
    assert progress.judge().healthy


def test_healthz_says_why_and_metrics_are_served(clock: ManualClock, progress: health.Progress) -> None:
    with health.serve(0, progress) as address:
        well = httpx.get(f"{address}/healthz")
        clock.now_s += 61
        ill = httpx.get(f"{address}/healthz?verbose")
        metrics = httpx.get(f"{address}/metrics")
        nothing = httpx.get(f"{address}/")
    assert (well.status_code, well.json()["healthy"]) == (200, True)
    assert (ill.status_code, ill.json()["healthy"], ill.json()["age_s"]) == (503, False, 61.0)
    assert "although it had work" in ill.json()["reason"]
    assert metrics.headers["content-type"].startswith("text/plain")
    assert "cosmo_progress_age_seconds 61.0" in metrics.text
    assert nothing.status_code == 404


def test_a_note_is_shown_until_it_is_taken_back_and_makes_nothing_unhealthy(
    progress: health.Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_notes", {})
    with health.serve(0, progress) as address:
        health.note("disk", "The disk is nearly full.")
        noted = httpx.get(f"{address}/healthz")
        health.note("disk", "")
        taken_back = httpx.get(f"{address}/healthz")
    assert (noted.status_code, noted.json()["notes"]) == (200, ["The disk is nearly full."])
    assert taken_back.json()["notes"] == []


def test_a_port_in_use_is_one_sentence(progress: health.Progress) -> None:
    with health.serve(0, progress) as address:
        port = int(address.rpartition(":")[2])
        said = rf"Port {port} on 127.0.0.1 is in use.*one by one cannot share"
        with pytest.raises(CosmoError, match=said), health.serve(port, progress):
            pass


def test_the_port_is_free_again_afterwards(progress: health.Progress) -> None:
    with health.serve(0, progress) as address:
        port = int(address.rpartition(":")[2])
    with health.serve(port, progress) as again:
        assert again == address


def test_a_foreign_host_is_refused_with_advice(progress: health.Progress) -> None:
    with pytest.raises(CosmoError, match="Cannot listen on"), health.serve(0, progress, host="192.0.2.1"):
        pass
