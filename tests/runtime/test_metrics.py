from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from cosmo.runtime import metrics

ROOT = Path(__file__).parents[2]
UNIT_SUFFIX = {"seconds": "_seconds", "bytes": "_bytes"}


def test_every_name_is_listed_once() -> None:
    names = [definition.name for definition in metrics.METRICS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("definition", metrics.METRICS, ids=lambda definition: definition.name)
def test_a_name_says_kind_and_base_unit(definition: metrics.MetricDef) -> None:
    assert re.fullmatch(r"cosmo_[a-z0-9_]+", definition.name)
    assert definition.name.endswith("_total") == (definition.kind == "counter")
    assert definition.name.removesuffix("_total").endswith(UNIT_SUFFIX.get(definition.unit, ""))
    assert not re.search(r"_(ms|milliseconds|minutes|kb|mb)(_|$)", definition.name)
    assert definition.doc.endswith(".")
    assert definition.buckets == tuple(sorted(set(definition.buckets)))


def test_an_accessor_gives_the_same_object_and_exposes_it() -> None:
    lag = metrics.gauge("cosmo_oldest_unacked_seconds")
    assert metrics.gauge("cosmo_oldest_unacked_seconds") is lag
    lag.labels(topic="t", partition="0").set(1.5)
    page = generate_latest(metrics.REGISTRY).decode()
    assert 'cosmo_oldest_unacked_seconds{partition="0",topic="t"} 1.5' in page
    assert "process_resident_memory_bytes" in page


def test_what_is_not_listed_cannot_be_exported() -> None:
    with pytest.raises(KeyError):
        metrics.counter("cosmo_surprises_total")


def test_a_metric_cannot_be_used_as_another_kind() -> None:
    with pytest.raises(KeyError, match="is a gauge"):
        metrics.counter("cosmo_committed_offset")


def test_a_histogram_has_the_buckets_of_its_definition() -> None:
    metrics.histogram("cosmo_fetch_seconds").labels(topic="t").observe(0.2)
    page = generate_latest(metrics.REGISTRY).decode()
    assert 'cosmo_fetch_seconds_bucket{le="0.25",topic="t"} 1.0' in page


def test_no_series_is_exported_beside_those_of_the_list() -> None:
    known = set()
    for definition in metrics.METRICS:
        accessor = getattr(metrics, definition.kind)
        series = accessor(definition.name)
        if definition.labels:
            series.labels(*definition.labels)
        parts = ("_bucket", "_count", "_sum") if definition.kind == "histogram" else ("",)
        known |= {definition.name + part for part in parts}
    exported = {sample.name for family in metrics.REGISTRY.collect() for sample in family.samples}
    assert {name for name in exported if name.startswith("cosmo_")} == known


def test_every_metric_of_the_list_is_measured_somewhere() -> None:
    """A row of docs/metrics.md that no process exports sends somebody looking for it at night."""
    packages = [ROOT / name for name in ("cosmo", "features", "inference", "streams")]
    sources = "".join(path.read_text() for package in packages for path in package.rglob("*.py"))
    measured = set(re.findall(r'\b(?:counter|gauge|histogram)\(\s*"(cosmo_\w+)"', sources))
    assert {definition.name for definition in metrics.METRICS} == measured
