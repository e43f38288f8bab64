"""What a worker counts of itself, read from the page that it serves for Prometheus."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

_LINE = re.compile(r"^(\w+)(?:\{[^}]*\})? ([0-9.e+]+)$", re.MULTILINE)
TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class Page:
    """Figures by metric, whatever their labels, summed up."""

    totals: Mapping[str, float]

    @classmethod
    def of(cls, text: str) -> Page:
        totals: dict[str, float] = {}
        for name, value in _LINE.findall(text):
            totals[name] = totals.get(name, 0.0) + float(value)
        return cls(totals)

    def total(self, name: str) -> int | None:
        """None where the process has not told the metric yet."""
        found = self.totals.get(name)
        return None if found is None else int(found)


def page_at(port: int) -> Page:
    """As the process on this port of this machine tells it now. Raises httpx.HTTPError."""
    answer = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=TIMEOUT_S, trust_env=False)
    return Page.of(answer.raise_for_status().text)


def prompts(page: Page) -> int:
    """Prompts that infer's page tells, answered or given up; none before the first."""
    return page.total("cosmo_lm_prompts_total") or 0


def held_back(page: Page) -> int | None:
    """Pairs that qualify and that sample's page says are held back. Unknown until it has looked at any: before that it
    tells zeros."""
    return page.total("cosmo_waiting_pairs") if page.total("cosmo_qualified_pairs") is not None else None
