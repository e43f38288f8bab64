"""When a run is over and why, and how that is said. Pure; seconds count from when the workers ran.

A first run downloads a model and starts a stack before that, which is nobody's time limit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from cosmo.demo import DEFAULT_ENTITIES, DEFAULT_LIMIT_S, DEFAULT_PATIENCE_S
from cosmo.demo.reading import Reading
from cosmo.runtime.errors import CosmoError

YOUNG_S = 3.0


class Ending(StrEnum):
    """Why the wait for features ended, or the run before that; as in ``summary.json``."""

    GOAL = "goal"
    LIMIT = "limit"
    NOTHING_LEARNED = "nothing_learned"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


class During(StrEnum):
    """How far a run has come: START until the stack and the workers run."""

    START = "start"
    RUN = "run"


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a run ended: ``ending`` is None as long as it has not (or when it was killed with SIGKILL), ``failure`` what
    a person was told."""

    ending: Ending | None
    during: During
    reached_goal: bool = False
    failure: str | None = None

    def broken_off(self, error: BaseException | None) -> End:
        """The same run, ended by ``error``: a failure, whatever it had reached before; None changes nothing."""
        if error is None:
            return self
        if isinstance(error, KeyboardInterrupt):
            return replace(self, ending=self.ending or Ending.INTERRUPTED)
        said = str(error) if isinstance(error, CosmoError) else f"{type(error).__name__}: {error}"
        return replace(self, ending=Ending.FAILED, failure=said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The goal (``entities`` with features), the time for it, and the longer time (``patience_s``) that holds until the
    first feature is visible, since a run that ends before shows nothing."""

    entities: int = DEFAULT_ENTITIES
    limit_s: float = DEFAULT_LIMIT_S
    patience_s: float = DEFAULT_PATIENCE_S

    @property
    def longest_s(self) -> float:
        return max(self.limit_s, self.patience_s)

    def ending(self, reading: Reading, *, all_sent: bool, seconds: float) -> Ending | None:
        """Why the wait is over ``seconds`` after the workers began to run; None while it is not."""
        if all_sent and counted(reading) and (reading.entities or 0) >= self.entities:
            return Ending.GOAL
        if reading.entities and seconds >= self.limit_s:
            return Ending.LIMIT
        return Ending.NOTHING_LEARNED if seconds >= self.longest_s else None

    def sentence(self, ending: Ending, reading: Reading) -> str:
        """What happened, for people."""
        entities = reading.entities or 0
        match ending:
            case Ending.GOAL:
                return f"All that was sent is counted, and {entities:,} entities have features{_of_others(reading)}."
            case Ending.LIMIT:
                behind = "" if counted(reading) else "; not all of the input is counted yet"
                return (
                    f"The time was over {self.limit_s:.0f} s after the workers began (--limit): "
                    f"{entities:,} of {self.entities:,} wanted entities have features{behind}."
                )
            case Ending.NOTHING_LEARNED:
                return f"No feature was to be seen {self.longest_s:.0f} s after the workers began (--patience)."
            case Ending.INTERRUPTED:
                return "Interrupted before the goal was reached."
            case Ending.FAILED:
                return "It failed."


def _of_others(reading: Reading) -> str:
    """Which features are no work of this run."""
    if reading.entities is None or reading.learned_now is None or reading.learned_now == reading.entities:
        return ""
    return f", {reading.entities - reading.learned_now:,} of them from earlier runs"


def counted(reading: Reading) -> bool:
    """Whether ingest and sample have read what was sent. Sample also reads what it writes itself (vouchers), so what
    waits there may be young instead of nothing."""
    stages = {stage.name: stage for stage in reading.stages}
    if not {"ingest", "sample"} <= stages.keys():
        return False
    ingest, sample = stages["ingest"], stages["sample"]
    caught_up = sample.lag == 0 or (sample.lag_s is not None and sample.lag_s < YOUNG_S)
    return bool(ingest.taken) and ingest.lag == 0 and caught_up
