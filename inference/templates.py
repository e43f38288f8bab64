"""Prompt templates as data (``data/search_buy.toml`` and its peers): few examples, the pair, then a forced relation.

The constant part comes first, so that a server with a prefix cache computes it once; the last words force the relation,
because small models do not keep to a relation that is merely named. A template's id carries its version and is stored
with every triple that it led to.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from inference.asked import Prompt
from inference.ids import choice
from inference.normalize import key_of
from inference.quoting import quoted
from schemas.records import BehaviorPair, PairKind

_FILES = ("search_buy", "co_buy", "search")


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One wording for one relation and pair kind. ``example_tails`` are what its examples answer."""

    template_id: str
    kind: PairKind
    relation: str
    constant: str
    frame: str
    example_tails: tuple[str, ...]

    def prompt(self, pair: BehaviorPair) -> Prompt:
        """The prompt for a pair of this kind; it ends with the words that force the relation, without a space."""
        text = self.constant + self.frame.format(**_slots(pair))
        return Prompt(text=text, relation=self.relation, template_id=self.template_id)


@cache
def all_templates() -> Mapping[str, Template]:
    """Every template by id."""
    loaded = (template for name in _FILES for template in _load(name))
    return {template.template_id: template for template in loaded}


def choose(pair: BehaviorPair, relation: str) -> Template:
    """The template for a pair and relation: by hash, so that asking again asks the same. KeyError if none."""
    fitting = _by_use()[pair.kind, relation]
    return fitting[int(choice((pair.pair_id, relation, "template")) * len(fitting))]


@cache
def example_keys(template_id: str) -> frozenset[str]:
    """The tails of a template's examples, as they are compared."""
    return frozenset(key_of(tail) for tail in all_templates()[template_id].example_tails)


@cache
def _by_use() -> Mapping[tuple[PairKind, str], tuple[Template, ...]]:
    found: dict[tuple[PairKind, str], tuple[Template, ...]] = {}
    for template in all_templates().values():
        key = (template.kind, template.relation)
        found[key] = (*found.get(key, ()), template)
    return found


def _slots(pair: BehaviorPair) -> dict[str, str]:
    return _quoted_slots(pair.query or "", *(product.title for product in pair.products))


def _quoted_slots(query: str, *titles: str) -> dict[str, str]:
    first, second = (*titles, "", "")[:2]
    return {"query": quoted(query), "product": quoted(first), "first": quoted(first), "second": quoted(second)}


def _load(name: str) -> list[Template]:
    data = tomllib.loads(resources.files("inference").joinpath(f"data/{name}.toml").read_text("utf-8"))
    kind, task, frame = PairKind(data.pop("kind")), data.pop("task"), data.pop("frame").strip("\n")
    return [_template(kind, task, frame, relation, fields) for relation, fields in data.items()]


def _template(kind: PairKind, task: str, frame: str, relation: str, fields: dict[str, Any]) -> Template:
    forced = frame.replace("{lead}", fields["lead"])
    shown = [f"{forced.format(**_example_slots(kind, example))} {example[-1]}\n\n" for example in fields["examples"]]
    return Template(
        template_id=f"{kind.lower()}.{relation}.{fields['version']}",
        kind=kind,
        relation=relation,
        constant=f"{task}\n\n{''.join(shown)}",
        frame=forced,
        example_tails=tuple(example[-1] for example in fields["examples"]),
    )


def _example_slots(kind: PairKind, example: list[str]) -> dict[str, str]:
    texts = example[:-1]
    return _quoted_slots("", *texts) if kind is PairKind.CO_BUY else _quoted_slots(*texts)
