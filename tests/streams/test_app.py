"""What a worker's app shows of itself to the machine it runs on and to the brokers."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import pytest

from cosmo.runtime.settings import Settings
from streams.app import build_app


def test_a_worker_leaves_no_directory_where_it_was_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    app: Any = build_app(Settings(), "ingest")
    app.finalize()
    app._create_directories()
    assert list(tmp_path.iterdir()) == []


def test_the_brokers_know_a_worker_by_its_host_and_process() -> None:
    """`cosmo lag --partitions` shows it as the owner of a partition: in Kubernetes the host is the pod."""
    app: Any = build_app(Settings(), "ingest")
    assert app.conf.broker_client_id == f"{platform.node()}-{os.getpid()}"
