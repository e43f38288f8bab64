"""What each rule of the sampler does on real baskets and on searches simulated over them: the page docs/sampling.md.

    python -m bench.sampling_defaults [--baskets 20000]

Every rule is switched off alone, and what then comes through besides is counted and shown. Writes the part of the page
between its two marks; progress goes to standard error. About two minutes on one core.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from cosmo.demo.simulation import ORDERS, SEARCHES, Simulation
from schemas.records import BehaviorPair, PairKind
from streams.blocks import FactAction
from streams.ingest.facts import from_orders, from_searches
from streams.sampling.offline import OfflineSamplers
from streams.sampling.rules import Rules
from streams.state.partition import PartitionState

PAGE = Path("docs/sampling.md")
BEGIN, END = "<!-- written by python -m bench.sampling_defaults -->", "<!-- end of what it wrote -->"
PARTITIONS = 4
SEED = 7
SHOWN = 30

_PRODUCT = dict.fromkeys(("product_id", "title", "product_type", "category"), pl.String)
_ORDER = pl.Schema([("event_time", pl.Int64()), ("session_id", pl.String()), ("items", pl.List(pl.Struct(_PRODUCT)))])
_SEARCH = pl.Schema(
    [
        ("event_time", pl.Int64()),
        ("session_id", pl.String()),
        ("query", pl.String()),
        ("action", pl.UInt8()),
        *((name, pl.String()) for name in _PRODUCT),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """A rule, its default in words, and the rules without it."""

    rule: str
    default: str
    off: Rules


def switches(rules: Rules) -> list[Switch]:
    """Every rule that decides whether a pair goes on."""
    table: list[tuple[str, str, dict[str, Any]]] = [
        ("bounds at 95 %, not raw ratios", f"z = {rules.confidence_z}", {"confidence_z": 0.0}),
        ("sessions that used the query (k-anonymity)", f"{rules.query_sessions}", {"query_sessions": 1}),
        ("sessions that bought after the query", f"{rules.search_purchases}", {"search_purchases": 1}),
        ("purchase rate", f"{rules.purchase_rate:.0%}", {"purchase_rate": 0.0}),
        ("click rate", f"{rules.click_rate:.0%}", {"click_rate": 0.0}),
        ("low-engagement quota", f"{rules.low_engagement_share:.0%}", {"low_engagement_share": 0.0}),
        ("sessions that bought both", f"{rules.basket_support}", {"basket_support": 2}),
        ("lift of the products", f"{rules.pair_lift}", {"pair_lift": 0.0}),
        ("lift of their types", f"{rules.type_lift}", {"type_lift": 0.0}),
        ("products that go with everything", f"{rules.promiscuous_nats} nats", {"promiscuous_nats": float("-inf")}),
        ("thinning by type pair", f"{rules.per_type_pair} a partition", {"per_type_pair": 1_000_000}),
    ]
    return [Switch(rule=rule, default=default, off=replace(rules, **off)) for rule, default, off in table]


def main() -> None:
    """Count, and write the page's part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--baskets", type=int, default=20_000)
    baskets = parser.parse_args().baskets
    now = datetime.now(UTC)
    states = loaded(baskets, now)
    kept = {pair.pair_id: pair for pair in due(states, Rules(), now)}
    rows = [_row(switch, kept, due(states, switch.off, now)) for switch in switches(Rules())]
    text = "\n".join([_opening(baskets, kept.values()), *rows, "", *_examples(list(kept.values()))])
    page = PAGE.read_text(encoding="utf-8")
    before, after = page.split(BEGIN)[0], page.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def loaded(baskets: int, now: datetime) -> list[PartitionState]:
    """The states of all partitions after the whole input."""
    samplers = OfflineSamplers([PartitionState() for _ in range(PARTITIONS)])
    simulation = Simulation.over(baskets=baskets, seed=SEED, now=now)
    _say(f"{simulation.baskets} baskets …")
    for orders in _portions(simulation, ORDERS, 2_000):
        samplers.add(from_orders(pl.DataFrame([_order(line) for line in orders], schema=_ORDER)))
    for searches in _portions(simulation, SEARCHES, 20_000):
        samplers.add(from_searches(pl.DataFrame([_search(line) for line in searches], schema=_SEARCH)))
    return samplers.states


def due(states: Sequence[PartitionState], rules: Rules, now: datetime) -> list[BehaviorPair]:
    """What would be asked with these rules."""
    samplers = OfflineSamplers(states, rules)
    samplers.settle()
    _say(f"{rules}\n  {sum(len(board.knowledge.promiscuous) for board in samplers.boards)} products with everything")
    return samplers.due(now)


def _portions(simulation: Simulation, topic: str, lines: int) -> Iterator[list[Any]]:
    portion: list[Any] = []
    for line in simulation.lines(topic):
        if line.flaw is None:
            portion.append(orjson.loads(line.value))
        if len(portion) == lines:
            yield portion
            portion = []
    if portion:
        yield portion


def _order(event: Any) -> dict[str, Any]:
    items = {item["product_id"]: _product(item) for item in event["items"]}
    return {"event_time": _ms(event), "session_id": event["session_id"], "items": list(items.values())}


def _search(event: Any) -> dict[str, Any]:
    action = int(FactAction[event["action"]])
    return (
        {"event_time": _ms(event), "action": action}
        | {name: event[name] for name in ("session_id", "query")}
        | _product(event["product"])
    )


def _product(item: Any) -> dict[str, Any]:
    return {name: item.get(name) for name in _PRODUCT}


def _ms(event: Any) -> int:
    return int(datetime.fromisoformat(event["event_time"]).timestamp() * 1000)


def _opening(baskets: int, kept: Any) -> str:
    kinds = [pair.kind for pair in kept]
    return (
        f"{baskets:,} real baskets and the searches simulated over them release {kinds.count(PairKind.CO_BUY):,} "
        f"product pairs and {kinds.count(PairKind.SEARCH_BUY):,} query–product pairs. Without one of the rules:\n\n"
        "| rule | default | pairs more | pairs fewer | the best of those that would come besides |\n"
        "|---|---|---:|---:|---|"
    )


def _row(switch: Switch, kept: dict[str, BehaviorPair], without: Sequence[BehaviorPair]) -> str:
    besides = sorted((pair for pair in without if pair.pair_id not in kept), key=lambda pair: -pair.priority)
    gone = len(kept.keys() - {pair.pair_id for pair in without})
    examples = "; ".join(_named(pair) for pair in besides[:2])
    return f"| {switch.rule} | {switch.default} | {len(besides):,} | {gone:,} | {examples} |"


def _examples(pairs: list[BehaviorPair]) -> list[str]:
    drawn = random.Random(SEED).sample(sorted(pairs, key=lambda pair: pair.pair_id), min(SHOWN, len(pairs)))
    best = sorted(drawn, key=lambda pair: -pair.priority)
    return [
        f"{len(best)} of the pairs, drawn blindly, in the order in which they are asked within their lane:",
        "",
        "| pair | sessions | priority |",
        "|---|---:|---:|",
        *(f"| {_named(pair)} | {pair.support} | {pair.priority:.1f} |" for pair in best),
    ]


def _named(pair: BehaviorPair) -> str:
    products = " + ".join(product.title for product in pair.products)
    return f"“{pair.query}” → {products}" if pair.query else products


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    main()
