"""The running stack for integration tests.

Parts whose variables are set (KAFKA_BOOTSTRAP_SERVERS, SCHEMA_REGISTRY_URL, REDIS_URL, COSMO_LM_URL) are used as they
are; the others are started once for the session, on free ports and with data of their own, and die with it.
"""

from __future__ import annotations

import gc
import os
import secrets
from collections.abc import Iterator

import prometheus_client  # noqa: F401 - before Feast, see `features`
import pytest
from hypothesis import settings as hypothesis_settings

from cosmo.runtime import health
from cosmo.runtime.settings import Settings
from cosmo.stack.home import Home
from cosmo.stack.parts import Name
from cosmo.stack.ports import Ports
from cosmo.stack.stack import Stack

# An example that is slow on a busy machine is no failure; what must be fast has a test that says so.
hypothesis_settings.register_profile("cosmo", deadline=None)
hypothesis_settings.load_profile("cosmo")


def pytest_addoption(parser: pytest.Parser) -> None:
    """The short version is the default; `make faults` asks for the long one."""
    group = parser.getgroup("faults", "tests/faults: how much is broken, and when")
    group.addoption("--faults-kills", type=int, default=12, help="processes killed before the stream may come to rest")
    group.addoption("--faults-seed", type=int, default=1, help="decides what is broken and when")
    group.addoption("--faults-sessions", type=int, default=600, help="shoppers; each makes about seven events")
    group.addoption("--faults-outage-s", type=float, default=20.0, help="how long the model and then Valkey are away")


_AT_ONCE = frozenset(Name) - {Name.MODEL}


class SessionStack:
    """The session's stack. Its model server starts when the first test asks for its address."""

    def __init__(self, stack: Stack) -> None:
        self.all = stack
        self.kafka_bootstrap_servers = stack.kafka_bootstrap_servers
        self.schema_registry_url = stack.schema_registry_url
        self.redis_url = stack.redis_url

    @property
    def lm_url(self) -> str:
        self.all.start({Name.MODEL})
        return self.all.lm_url


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SessionStack]:
    """What is downloaded is kept with the project's own cache, so that only the first session waits for it."""
    settings = Settings()
    home = Home.at(tmp_path_factory.mktemp("stack"), cache=settings.home / "cache")
    with Stack.running(settings, home=home, ports=Ports.free(brokers=1), names=_AT_ONCE) as running:
        yield SessionStack(running)
        # Workers that tests have run are cycles of objects that hold Kafka clients. Left to themselves they would
        # outlive the brokers, and say so on the terminal, behind the last line of the report.
        gc.collect()


@pytest.fixture
def topic_prefix() -> str:
    """Fresh for each test: nothing another test wrote is in its topics, groups, subjects and Feast project."""
    return f"t{secrets.token_hex(4)}."


@pytest.fixture
def env(stack: SessionStack, topic_prefix: str) -> dict[str, str]:
    """The environment of a child process. COSMO_LM_URL is in it, but only ``stack.lm_url`` starts the model."""
    return dict(os.environ) | stack.all.env() | {"COSMO_TOPIC_PREFIX": topic_prefix}


@pytest.fixture
def settings(stack: SessionStack, topic_prefix: str) -> Settings:
    """Settings for the running stack and this test's prefix."""
    return Settings(
        kafka_bootstrap_servers=stack.kafka_bootstrap_servers,
        schema_registry_url=stack.schema_registry_url,
        redis_url=stack.redis_url,
        lm_url=stack.all.lm_url,
        topic_prefix=topic_prefix,
    )


@pytest.fixture(autouse=True)
def metrics_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Importing Feast sets this variable (`features.store` takes it away again), which would reach every child."""
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)


@pytest.fixture(autouse=True)
def notes_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test has the process note for people is not what the next is asked about."""
    monkeypatch.setattr(health, "_notes", {})
