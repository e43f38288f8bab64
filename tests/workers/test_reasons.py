"""Whoever runs the four is told why one has stopped, in its own words."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cosmo.runtime.errors import CosmoError
from cosmo.runtime.settings import Settings
from cosmo.stack import spawner
from cosmo.stack.ports import free_ports
from cosmo.workers.all import STOPPED, STOPPED_ON_PURPOSE, Children, reason_of
from tests.support.processes import until


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", ""),
        ("2026 [error] a dead letter was not taken\n", ""),
        (f"2026 [info] assigned\n{STOPPED}Too many. Mend it.\n%3|librdkafka says more\n", "Too many. Mend it."),
        (f"{STOPPED}Yesterday.\n{STOPPED}Today.\n", "Today."),
    ],
)
def test_the_reason_is_what_the_worker_said_last_and_not_what_a_library_said_after_it(text: str, reason: str) -> None:
    assert reason_of(text) == reason


def _first_of_four() -> int:
    first = free_ports(1)[0]
    return first if first < 31_990 else _first_of_four()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (f"{STOPPED}Half of it cannot be used. Mend the producer.", "has stopped. Half of it cannot be used. Mend the"),
        ("nothing of the kind", "worker has stopped."),
    ],
)
def test_a_worker_that_stops_on_purpose_ends_all_with_its_reason_and_names_its_log(
    said: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stops(_command: list[str], **options: object) -> subprocess.Popen[bytes]:
        script = f"import sys; print({said!r}, file=sys.stderr); sys.exit({STOPPED_ON_PURPOSE})"
        return popen([sys.executable, "-c", script], **options)  # type: ignore[arg-type]  # the same options as given

    popen = spawner.popen
    monkeypatch.setattr(spawner, "popen", stops)
    children = Children(Settings(worker_port=_first_of_four()), logs=tmp_path)
    with children.running():
        assert until(lambda: not children.pids, within_s=30.0)
        with pytest.raises(CosmoError, match=told) as error:
            children.look()
    assert str(tmp_path / "worker-ingest.log") in error.value.advice
