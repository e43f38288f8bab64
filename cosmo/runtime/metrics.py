"""Every metric of every process, in one typed list; ``docs/metrics.md`` is generated from it.

Base units only (seconds, bytes, records). A metric is registered when it is first asked for, so a process exposes
its own and no others. A name that is not in the list is a ``KeyError``: what is not documented is not exported.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics

Kind = Literal["counter", "gauge", "histogram"]
Process = Literal["ingest", "sample", "infer", "materialize", "lookup"]

WORKERS: tuple[Process, ...] = ("ingest", "sample", "infer", "materialize")
EVERY: tuple[Process, ...] = (*WORKERS, "lookup")

FAST_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""From one Redis read to one produce to a busy broker."""
SLOW_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0)
"""From one prompt to a batch that waited out a model server's restart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricDef:
    """One metric. ``unit`` is what one step of its value means; ``buckets`` are the upper bounds of a histogram."""

    name: str
    kind: Kind
    unit: str
    doc: str
    labels: tuple[str, ...] = ()
    processes: tuple[Process, ...] = EVERY
    buckets: tuple[float, ...] = FAST_S


METRICS: tuple[MetricDef, ...] = (
    # --- every process ---
    MetricDef(
        name="cosmo_build_info",
        kind="gauge",
        unit="1",
        labels=("version", "process"),
        doc="Always 1; its labels say which version of which process answers.",
    ),
    MetricDef(
        name="cosmo_progress_age_seconds",
        kind="gauge",
        unit="seconds",
        processes=WORKERS,
        doc="Time since the slowest part of this process last moved or had nothing to do; /healthz judges by it.",
    ),
    # --- the stream: fetch, handle, produce, ack, commit ---
    MetricDef(
        name="cosmo_records_total",
        kind="counter",
        unit="records",
        labels=("process", "topic", "outcome"),
        processes=WORKERS,
        doc="Records by what became of them: done, dead_lettered, redelivered.",
    ),
    MetricDef(
        name="cosmo_dead_letters_total",
        kind="counter",
        unit="records",
        labels=("topic", "reason"),
        processes=WORKERS,
        doc="Records that went to the dead-letter topic, by source topic and reason. Read them with `cosmo dlq list`.",
    ),
    MetricDef(
        name="cosmo_fetch_records",
        kind="histogram",
        unit="records",
        labels=("topic",),
        processes=WORKERS,
        buckets=(1, 10, 100, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000),
        doc="Records in one fetch; small fetches under load mean that the consumer outruns its buffer.",
    ),
    MetricDef(
        name="cosmo_fetch_seconds",
        kind="histogram",
        unit="seconds",
        labels=("topic",),
        processes=WORKERS,
        buckets=SLOW_S,
        doc="From the arrival of a fetch until its sinks have confirmed it.",
    ),
    MetricDef(
        name="cosmo_oldest_unacked_seconds",
        kind="gauge",
        unit="seconds",
        labels=("topic", "partition"),
        processes=WORKERS,
        doc="Age of the oldest fetch not yet acked; it grows when a sink does not confirm.",
    ),
    MetricDef(
        name="cosmo_committed_offset",
        kind="gauge",
        unit="offset",
        labels=("topic", "partition"),
        processes=WORKERS,
        doc="Last offset committed by this process.",
    ),
    MetricDef(
        name="cosmo_held_back_records",
        kind="gauge",
        unit="records",
        labels=("topic", "partition"),
        processes=WORKERS,
        doc="Offsets that may not be read yet because a transaction before them is open; absent where there is none.",
    ),
    MetricDef(
        name="cosmo_deleted_unread_total",
        kind="counter",
        unit="offsets",
        labels=("topic", "partition"),
        processes=WORKERS,
        doc="Offsets that retention deleted before this process had read them; whatever they held was not counted.",
    ),
    # --- ingest ---
    MetricDef(
        name="cosmo_facts_total",
        kind="counter",
        unit="facts",
        labels=("topic",),
        processes=("ingest",),
        doc="Facts made from events, distinct within a fetch.",
    ),
    # --- sample ---
    MetricDef(
        name="cosmo_sampled_pairs_total",
        kind="counter",
        unit="pairs",
        labels=("kind", "reason"),
        processes=("sample",),
        doc="Pairs released to behavior-pairs and confirmed, by kind and by why now.",
    ),
    MetricDef(
        name="cosmo_waiting_pairs",
        kind="gauge",
        unit="pairs",
        labels=("lane",),
        processes=("sample",),
        doc="Pairs that are due and held back because enough wait for the model. The best go first.",
    ),
    MetricDef(
        name="cosmo_qualified_pairs",
        kind="gauge",
        unit="pairs",
        labels=("partition",),
        processes=("sample",),
        doc="Pairs that qualify by the state as it is, asked already or not.",
    ),
    MetricDef(
        name="cosmo_late_facts_total",
        kind="counter",
        unit="facts",
        labels=("partition",),
        processes=("sample",),
        doc="Facts older than the horizon when they came: events of a time long past, which are not counted.",
    ),
    MetricDef(
        name="cosmo_dirty_heads",
        kind="gauge",
        unit="heads",
        labels=("partition",),
        processes=("sample",),
        doc="Queries and products whose facts changed and that were not looked at since; it grows when CPU is short.",
    ),
    MetricDef(
        name="cosmo_evaluate_seconds",
        kind="histogram",
        unit="seconds",
        processes=("sample",),
        doc="One round of looking at heads; fetches and releases of the partition wait for it.",
    ),
    MetricDef(
        name="cosmo_vouchers_total",
        kind="counter",
        unit="vouchers",
        processes=("sample",),
        doc="Vouchers sent for halves of product pairs.",
    ),
    MetricDef(
        name="cosmo_sample_window_records",
        kind="gauge",
        unit="records",
        processes=("sample",),
        doc="Records of behavior-pairs that may wait for the model; it follows the model's speed.",
    ),
    # --- infer ---
    MetricDef(
        name="cosmo_lm_requests_total",
        kind="counter",
        unit="requests",
        labels=("outcome",),
        processes=("infer",),
        doc="Requests to the model server: answered, unavailable, prompt_refused, prompt_breaks_model, "
        "prompt_too_slow, bad_answer. A failed one is repeated.",
    ),
    MetricDef(
        name="cosmo_lm_request_seconds",
        kind="histogram",
        unit="seconds",
        processes=("infer",),
        buckets=SLOW_S,
        doc="From sending a batch until its answer is read; failed requests are not in it.",
    ),
    MetricDef(
        name="cosmo_lm_prompts_total",
        kind="counter",
        unit="prompts",
        labels=("outcome",),
        processes=("infer",),
        doc="Prompts by what became of them: answered, or the reason for which they were given up.",
    ),
    MetricDef(
        name="cosmo_lm_batch_prompts",
        kind="histogram",
        unit="prompts",
        processes=("infer",),
        buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
        doc="Prompts of a batch. Small ones under load mean that prompts do not arrive fast enough.",
    ),
    MetricDef(
        name="cosmo_lm_batch_wait_seconds",
        kind="histogram",
        unit="seconds",
        processes=("infer",),
        buckets=SLOW_S,
        doc="How long the first prompt of a batch waited until the batch was sent.",
    ),
    MetricDef(
        name="cosmo_lm_in_flight",
        kind="gauge",
        unit="batches",
        processes=("infer",),
        doc="Batches at the model server now.",
    ),
    MetricDef(
        name="cosmo_lm_waiting",
        kind="gauge",
        unit="prompts",
        labels=("lane",),
        processes=("infer",),
        doc="Prompts that wait for a batch: those of readers' requests go first, those of pairs after them.",
    ),
    MetricDef(
        name="cosmo_lm_breaker_open",
        kind="gauge",
        unit="1",
        processes=("infer",),
        doc="1 while the model server is away and only probed now and then; lag grows meanwhile, memory does not.",
    ),
    MetricDef(
        name="cosmo_candidates_total",
        kind="counter",
        unit="candidates",
        labels=("relation", "outcome"),
        processes=("infer",),
        doc="Candidates judged: accepted, or the name of the filter that refused them.",
    ),
    MetricDef(
        name="cosmo_pairs_total",
        kind="counter",
        unit="pairs",
        labels=("kind", "outcome"),
        processes=("infer",),
        doc="Pairs that ended: explained (an intent was kept), unexplained (none was), dead_lettered.",
    ),
    MetricDef(
        name="cosmo_pair_seconds",
        kind="histogram",
        unit="seconds",
        labels=("kind",),
        processes=("infer",),
        buckets=(*SLOW_S, 3_600.0),
        doc="From the sampler's release of a pair, or a reader's request, until its intents are confirmed.",
    ),
    # --- materialize and lookup ---
    MetricDef(
        name="cosmo_feature_freshness_seconds",
        kind="histogram",
        unit="seconds",
        labels=("view",),
        processes=("materialize",),
        buckets=(*SLOW_S, 3_600.0, 86_400.0, 604_800.0),
        doc="From event_time, which is known to the day and never too early, until readers can see an intent. "
        "Feast's own figure never moves here.",
    ),
    MetricDef(
        name="cosmo_feature_writes_total",
        kind="counter",
        unit="rows",
        labels=("view", "outcome"),
        processes=("materialize",),
        doc="Rows merged, by outcome: changed, unchanged, conflict (another writer came first; it was merged again), "
        "damaged (the row cannot be read and was left as it is).",
    ),
    MetricDef(
        name="cosmo_damaged_rows",
        kind="gauge",
        unit="rows",
        labels=("view",),
        processes=("materialize", "lookup"),
        doc="Rows of the online store that this process could not read when it last met them, up to 10,000. "
        "`cosmo features rebuild` writes them again.",
    ),
    MetricDef(
        name="cosmo_intents_written_again_total",
        kind="counter",
        unit="intents",
        processes=("materialize",),
        doc="Evidence written to the log of intents again, because an older edition of it came late: a worker that was "
        "paused wrote after its successor, or records were replayed.",
    ),
    MetricDef(
        name="cosmo_offline_rows_total",
        kind="counter",
        unit="rows",
        labels=("view",),
        processes=("materialize",),
        doc="Rows appended to the offline store.",
    ),
    MetricDef(
        name="cosmo_waits_total",
        kind="counter",
        unit="attempts",
        labels=("dependency",),
        processes=WORKERS,
        doc="Attempts that failed because a dependency did not answer; each is repeated after a pause, without end.",
    ),
    MetricDef(
        name="cosmo_waiting_seconds",
        kind="gauge",
        unit="seconds",
        labels=("dependency",),
        processes=WORKERS,
        doc="How long the process has waited for this dependency; 0 while it answers. /healthz says why it waits.",
    ),
    MetricDef(
        name="cosmo_lookup_seconds",
        kind="histogram",
        unit="seconds",
        labels=("endpoint",),
        processes=("lookup",),
        buckets=(0.0005, *FAST_S),
        doc="From a look-up's arrival until its answer is ready, by endpoint.",
    ),
    MetricDef(
        name="cosmo_lookups_total",
        kind="counter",
        unit="answers",
        labels=("endpoint", "status"),
        processes=("lookup",),
        doc="Answers by status (fresh, stale, pending, none, damaged), or unavailable: Redis did not answer.",
    ),
)

REGISTRY = CollectorRegistry()
"""What /metrics exposes: this process's metrics, and its CPU, memory and file descriptors under their usual names."""
ProcessCollector(registry=REGISTRY)
# A series of its own beside each counter and histogram would only say when it began.
disable_created_metrics()  # type: ignore[no-untyped-call]

_BY_NAME = {definition.name: definition for definition in METRICS}


@cache
def counter(name: str) -> Counter:
    """The counter of that name; the same object on every call."""
    definition = _definition(name, "counter")
    return Counter(definition.name, definition.doc, definition.labels, registry=REGISTRY)


@cache
def gauge(name: str) -> Gauge:
    """The gauge of that name; the same object on every call."""
    definition = _definition(name, "gauge")
    return Gauge(definition.name, definition.doc, definition.labels, registry=REGISTRY)


@cache
def histogram(name: str) -> Histogram:
    """The histogram of that name; the same object on every call."""
    definition = _definition(name, "histogram")
    return Histogram(definition.name, definition.doc, definition.labels, registry=REGISTRY, buckets=definition.buckets)


def tell_build(process: str) -> None:
    """Export which version of which process this is."""
    gauge("cosmo_build_info").labels(version("cosmo-streams"), process).set(1)


def _definition(name: str, kind: Kind) -> MetricDef:
    definition = _BY_NAME[name]
    if definition.kind != kind:
        raise KeyError(f"{name} is a {definition.kind}, not a {kind}")
    return definition
