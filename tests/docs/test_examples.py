"""What the guides show works: every example is run on a real stack, and prints what its page says."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from cosmo.demo import strangers
from cosmo.runtime.settings import settings
from tests.docs.examples import PAGES, TERMINAL, Block, blocks
from tests.docs.terminal import Terminal, opened

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]  # a small model is slow where others work too

BLOCKS = tuple(blocks())
RUN = [block for block in BLOCKS if not block.skipped]

NOT_RUN = [
    "README.md: make run",
    "README.md: cosmo lookup serve",
    "README.md: cosmo worker ingest",
    'docs/readers.md: feast -c "$(cosmo features apply --json | jq -r .repository)" serve --host 127.0.0.1 --port 6566',
    "docs/operations.md: kafka-consumer-groups.sh --bootstrap-server broker:9092 --group cosmo-ingest \\",
    "docs/operations.md: kafka-consumer-groups.sh --bootstrap-server broker:9092 --group cosmo-sample \\",
    "docs/operations.md: cosmo topics repartition --partitions 48",
    "docs/demo.md: make run",
]
"""All of them. Whoever adds one says in the page why, and here that it is one more."""


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """Python examples run in this process, so that it sees what the shell sees."""
    with opened(tmp_path_factory.mktemp("reader")) as terminal, pytest.MonkeyPatch.context() as patch:
        patch.chdir(terminal.directory)
        for name, value in terminal.env.items():
            patch.setenv(name, value)
        settings.cache_clear()
        strangers.send(settings())
        yield terminal
        for block in BLOCKS:
            block.example.namespace.pop("producer", None)  # it would look for this stack, and say so, while it lives
    settings.cache_clear()


@pytest.mark.parametrize("block", [pytest.param(block, id=block.place) for block in RUN])
def test_every_example_runs_and_prints_what_its_page_shows(block: Block, terminal: Terminal) -> None:
    """One that fails may take those behind it on its page with it."""
    block.example.namespace[TERMINAL] = terminal
    block.example.evaluate()


def test_what_is_not_run_is_listed() -> None:
    assert [f"{block.page}: {block.first_line}" for block in BLOCKS if block.skipped] == NOT_RUN


def test_no_block_escapes_by_its_name() -> None:
    """`console`, `bash` or a name with options would look the same and never be run."""
    known = {"", "sh", "python", "text", "json"}
    names = {name for page in PAGES for name in re.findall(r"^ *```(.*)$", page.read_text("utf-8"), re.MULTILINE)}
    assert names <= known


def test_commands_are_not_hidden_in_indented_blocks() -> None:
    indented = re.compile(r"^    (?:cosmo|make|curl) .*$", re.MULTILINE)
    assert [found for page in PAGES for found in indented.findall(page.read_text("utf-8"))] == []
