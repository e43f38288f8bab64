"""The producers' guide says what the code does: its tables are the code's, and its examples are sent."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from cosmo.produce.formats import Format, outcomes
from cosmo.produce.guide import parts, renewed
from cosmo.produce.lines import numbered
from cosmo.produce.outcomes import PassedOver, Sendable
from cosmo.produce.reasons import meaning
from cosmo.runtime.metrics import METRICS
from schemas.errors import Reason
from schemas.validate import check
from streams.state.facts import HORIZON_DAYS

PAGE = (Path(__file__).parents[2] / "docs" / "producers.md").read_text()
EXAMPLES = re.findall(r"<!-- example: (\S+) (\S+) -->\n```json\n(.*?)```", PAGE, re.DOTALL)
LATER = datetime(2026, 3, 2, tzinfo=UTC)


def test_every_table_is_the_code_s() -> None:
    """Mend with: cosmo docs producers docs/producers.md > new.md && mv new.md docs/producers.md"""
    assert renewed(PAGE) == PAGE


def test_a_page_without_a_part_is_told() -> None:
    with pytest.raises(KeyError, match="repairs"):
        renewed(PAGE.replace("<!-- repairs -->", ""))


@pytest.mark.parametrize(("form", "topic", "text"), EXAMPLES)
def test_every_example_is_accepted_as_it_stands(form: str, topic: str, text: str) -> None:
    lines = text.encode().splitlines()
    found = list(outcomes(numbered(lines), topic=topic, form=Format(form)))
    assert all(isinstance(outcome, Sendable | PassedOver) for outcome in found), found
    events = [outcome.record for outcome in found if isinstance(outcome, Sendable)]
    assert events
    for event in events:
        assert check(event, LATER) is event  # type: ignore[type-var]  # it is one or the other


def test_all_examples_count_together_on_one_stream() -> None:
    """One whose time lay outside the horizon would be taken and not counted, and the reader would wonder why."""
    times = [
        outcome.record.event_time
        for form, topic, text in EXAMPLES
        for outcome in outcomes(numbered(text.encode().splitlines()), topic=topic, form=Format(form))
        if isinstance(outcome, Sendable)
    ]
    assert max(times) - min(times) <= timedelta(minutes=5)
    assert min(times).date() == date(2026, 3, 1)


def test_the_guide_says_the_horizon_that_is_counted_in_and_the_metric_that_tells() -> None:
    assert f"older than {HORIZON_DAYS} days" in PAGE
    told = re.search(r"older than 30 days.*?`(\w+)`", PAGE, re.DOTALL)
    assert told is not None
    assert told[1] in {metric.name for metric in METRICS}


def test_there_is_an_example_of_every_format_and_topic() -> None:
    assert {(form, topic) for form, topic, _ in EXAMPLES} >= {
        ("native", "query-purchase"),
        ("native", "co-purchase"),
        ("ubi", "query-purchase"),
        ("opensearch-ubi", "query-purchase"),
    }


def test_every_reason_has_a_meaning_and_a_row() -> None:
    said = "".join(parts().values())
    assert all(meaning(reason) and f"| `{reason}` |" in said for reason in Reason)
