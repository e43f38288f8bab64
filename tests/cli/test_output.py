from __future__ import annotations

import pytest

from cosmo.cli.output import counted
from cosmo.cli.progress import progress


def test_one_is_not_many() -> None:
    assert [counted(number, "event") for number in (0, 1, 2_000)] == ["0 events", "1 event", "2,000 events"]


def test_progress_says_nothing_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    """In a pipe it would be an empty line in front of what the command prints."""
    with progress("reading") as passed:
        passed(1, 2)
    assert capsys.readouterr() == ("", "")
