from __future__ import annotations

from collections.abc import Iterator

import pytest

from cosmo.stack.stack import Stack
from tests.faults import stream


@pytest.fixture(scope="session")
def three_brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Kafka on three nodes, registry and Valkey for tests that break them; each mends what it has broken."""
    with stream.three_brokers(tmp_path_factory.mktemp("faults")) as running:
        yield running
