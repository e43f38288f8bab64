from __future__ import annotations

from pathlib import Path

from pydantic import AliasChoices

from cosmo.runtime.documents import metrics_page, settings_page, variable
from cosmo.runtime.metrics import METRICS
from cosmo.runtime.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"


def test_settings_on_disk_are_those_of_the_code() -> None:
    """Mend with: cosmo docs settings > docs/settings.md"""
    assert (DOCS / "settings.md").read_text() == settings_page()


def test_metrics_on_disk_are_those_of_the_code() -> None:
    """Mend with: cosmo docs metrics > docs/metrics.md"""
    assert (DOCS / "metrics.md").read_text() == metrics_page()


def test_every_setting_says_what_it_is_and_what_sets_it() -> None:
    page = settings_page()
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert f"| `{variable(name)}` |" in page


def test_a_setting_is_ours_by_its_name_or_an_agreed_one() -> None:
    for name, field in Settings.model_fields.items():
        agreed = isinstance(field.validation_alias, AliasChoices)
        assert agreed or variable(name).startswith("COSMO_")


def test_every_metric_is_a_row() -> None:
    assert metrics_page().count("\n| `cosmo_") == len(METRICS)
