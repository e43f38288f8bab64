from __future__ import annotations

import re

import pytest
from prometheus_client import generate_latest

from cosmo.runtime import metrics

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
