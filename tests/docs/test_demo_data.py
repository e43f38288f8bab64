"""Whoever has followed the README to the end has the demonstration's data, and none of the guides' own shop: what the
guides and ``--help`` look up has pairs there, so that the model is asked about it and the look-up can answer.

The real baskets and the simulated searches, all of them, through the sampler's own rules; no stack and no model.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import unquote_plus

import pytest

from bench.sampling_defaults import due, loaded
from cosmo.demo import DEFAULT_BASKETS
from cosmo.demo.baskets import window
from schemas.records import PairKind
from streams.sampling.rules import Rules
from streams.state.facts import HORIZON_DAYS
from streams.text import normalize_query
from tests.docs.examples import PAGES, ROOT

NOW = datetime(2026, 3, 4, 15, 30, tzinfo=UTC)
SEVERAL = 3
"""Another day moves the window by some hours, and the filters refuse two answers of three: one pair would not do."""


class LookUp(NamedTuple):
    """What is looked up: ``query``, ``product`` or ``complements``, and its key."""

    of: str
    key: str


_TEXT = r"""(?:'([^'…]+)'|"([^"…]+)"|([^\s'"`…<>;{A-Z]+))"""
_COMMAND_QUERY = re.compile(rf"\blookup query {_TEXT}")
_COMMAND_PRODUCT = re.compile(r"\blookup product (\d+)(?: +(--complements))?")
_PATH = re.compile(r"/v1/(queries|products)/([^/\s{]+)/(intents|complements)\b")
_MEMBER = re.compile(r'"(queries|query|products|product_id|complements)": (?:normalize_query\()?(\[[^\]]*\]|"[^"]*")')
_QUOTED = re.compile(r'"([^"]+)"')
_MEMBERS = {"queries": "query", "query": "query", "products": "product", "product_id": "product"}


def look_ups(text: str) -> Iterator[LookUp]:
    """Everything that a page or a help text looks up, by command, path, JSON body or Feast."""
    for found in _COMMAND_QUERY.finditer(text):
        yield LookUp("query", normalize_query("".join(filter(None, found.groups()))))
    for product_id, complements in _COMMAND_PRODUCT.findall(text):
        yield LookUp("complements" if complements else "product", product_id)
    for things, escaped, what in _PATH.findall(text):
        key = unquote_plus(escaped)
        of = "query" if things == "queries" else "complements" if what == "complements" else "product"
        yield LookUp(of, normalize_query(key) if of == "query" else key)
    for name, value in _MEMBER.findall(text):
        for key in _QUOTED.findall(value):
            of = _MEMBERS.get(name, name)
            yield LookUp(of, normalize_query(key) if of == "query" else key)


def shown() -> set[LookUp]:
    """Of the README, the readers' guide and every help text; the other pages look nothing up by key."""
    sources = [page for page in PAGES if page.name in {"README.md", "readers.md"}]
    sources += sorted((ROOT / "cosmo" / "cli").glob("*.py"))
    return {found for source in sources for found in look_ups(source.read_text("utf-8"))}


@pytest.fixture(scope="module")
def pairs() -> Counter[LookUp]:
    """For each key that could be looked up in the demonstration, how many pairs the model would be asked about."""
    counted: Counter[LookUp] = Counter()
    for pair in due(loaded(DEFAULT_BASKETS, NOW), Rules(), NOW):
        of = "complements" if pair.kind is PairKind.CO_BUY else "product"
        counted.update(LookUp(of, product.product_id) for product in pair.products)
        if pair.query is not None:
            counted[LookUp("query", pair.query)] += 1
    return counted


def test_the_guides_look_up_what_the_demonstration_can_answer(pairs: Counter[LookUp]) -> None:
    known = {look_up: pairs[look_up] for look_up in shown()}
    assert {look_up: count for look_up, count in known.items() if count < SEVERAL} == {}


def test_a_little_more_than_half_of_the_baskets_is_older_than_the_horizon_as_the_page_says() -> None:
    days = window(DEFAULT_BASKETS, NOW).baskets["time"].dt.date().to_list()
    alive = max(days) - timedelta(days=HORIZON_DAYS - 1)
    assert sum(day < alive for day in days) / len(days) == pytest.approx(0.52, abs=0.02)
    assert (max(days) - min(days)).days == pytest.approx(61, abs=2)
    assert f"the sampler's horizon is {HORIZON_DAYS} days" in (ROOT / "docs" / "demo.md").read_text("utf-8")


def test_every_form_of_a_look_up_is_seen() -> None:
    text = """cosmo lookup query 'soft  Drinks' --explain; cosmo lookup query milk; lookup query … ; lookup query TEXT
    cosmo lookup product 12 --complements    cosmo lookup product 13
    curl 'http://x/v1/queries/game%20day/intents?explain=true' /v1/products/14/complements /v1/products/{key}/intents
    -d '{"queries": ["a", "b"], "products": ["15"], "complements": ["16"]}'
    [{"query": normalize_query("C  d"), "product_id": "17"}]"""
    queries = {"soft drinks", "milk", "game day", "a", "b", "c d"}
    products, complements = {"13", "15", "17"}, {"12", "14", "16"}
    assert set(look_ups(text)) == {
        *(LookUp("query", key) for key in queries),
        *(LookUp("product", key) for key in products),
        *(LookUp("complements", key) for key in complements),
    }
    assert {look_up.of for look_up in shown()} == {"query", "product", "complements"}
