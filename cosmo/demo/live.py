"""The live view on a terminal: what came in, went out, was refused and lags, per stage, and the newest intents."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from typing import TextIO

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cosmo.demo.reading import Reading, Sent, Stage
from cosmo.demo.show import Results, megabytes, shown, unread
from cosmo.lag.document import duration
from features.phrases import phrase
from schemas.records import Intent

REFRESHES_PER_S = 4
REASONS = 4


class LiveShow:
    """Draws on the console from `start` to `stop`; what is said before and between stays above."""

    def __init__(self, console: Console, finish: Callable[[Results], None]) -> None:
        self._console = console
        self._finish = finish
        self._live: Live | None = None

    def say(self, text: str) -> None:
        self._console.print(Text(text))

    def update(self, reading: Reading, sent: Sent, seconds: float) -> None:
        if self._live is None:
            self._live = Live(console=self._console, refresh_per_second=REFRESHES_PER_S, transient=True)
            self._live.start()
            _log_to(sys.stderr)  # which now writes above the view instead of through it
        self._live.update(screen(reading, sent, seconds))

    def results(self, results: Results) -> None:
        self.stop()
        self._finish(results)

    def stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
            _log_to(sys.stderr)


def _log_to(stream: TextIO) -> None:
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(stream)


def screen(reading: Reading, sent: Sent, seconds: float) -> RenderableType:
    """The whole view. Text of shoppers and of the model is shown as text, never as markup."""
    first = "" if reading.first_feature_s is None else f" · first feature after {reading.first_feature_s:.0f} s"
    head = f"{seconds:.0f} s{first} · memory {megabytes(reading.rss_bytes)} · simulated searches over real baskets"
    reasons = [
        _reasons("refused by cosmo produce", sent.refused),
        _reasons("dead letters", reading.dead_letters),
        _reasons("intents rejected", reading.rejected),
    ]
    return Group(
        Text(head, style="bold"),
        _stages(reading, sent),
        *_unread(reading),
        *filter(None, reasons),
        *_newest(reading),
        *_askable(reading),
        _hint(),
    )


def _stages(reading: Reading, sent: Sent) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("stage", style="bold")
    for column in ("in", "out", "refused", "lag", "oldest"):
        table.add_column(column, justify="right")
    refused = sum(sent.refused.values())
    table.add_row("produce", f"{sent.lines:,}", f"{sent.sent:,}", f"{refused:,}", "", "")
    for stage in reading.stages:
        figures = (stage.taken, stage.given, stage.refused, stage.lag)
        table.add_row(stage.name, *map(shown, figures), _age(stage))
    return table


def _unread(reading: Reading) -> list[Text]:
    return [Text(sentence, style="yellow", no_wrap=True, overflow="ellipsis") for sentence in unread(reading)]


def _age(stage: Stage) -> str:
    if stage.lag == 0:
        return ""
    return "-" if stage.lag_s is None else duration(stage.lag_s)


def _reasons(title: str, counted: Mapping[str, int] | None) -> Text | None:
    if not counted:
        return None
    most = sorted(counted.items(), key=lambda one: -one[1])
    listed = ", ".join(f"{reason} {count:,}" for reason, count in most[:REASONS])
    more = f" and {len(most) - REASONS} more reasons" if len(most) > REASONS else ""
    return Text(f"{title}: {listed}{more}", style="dim", no_wrap=True, overflow="ellipsis")


def _newest(reading: Reading) -> list[Text]:
    if not reading.newest:
        counted = reading.intents_kept is not None
        text = "The first intents come when the model has answered." if counted else "Counting what is there …"
        return [Text(text, style="dim")]
    return [_intent(intent) for intent in reversed(reading.newest)]


def _intent(intent: Intent) -> Text:
    titles = " + ".join(product.title for product in intent.products)
    about = f"“{intent.query}” → {titles}" if intent.query else titles
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(f"{phrase(intent.relation, intent.tail)}  ", style="green")
    line.append(f"{about} ({intent.plausibility:.2f})", style="dim")
    return line


def _askable(reading: Reading) -> list[Text]:
    if not reading.askable:
        return []
    known = ", ".join(reversed(reading.askable))
    return [Text(f"cosmo lookup query … --explain answers about: {known}", no_wrap=True, overflow="ellipsis")]


def _hint() -> Text:
    return Text("Ctrl-C stops everything.", style="dim")
