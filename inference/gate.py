"""Who may ask the model server now: the circuit breaker at work, with a small question as its probe.

The probe also clears up who is to blame. A batch that fails may hold a bad prompt, or meet a server that fails at
everything; only when the probe is answered is it the batch.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from cosmo.runtime import logs
from cosmo.runtime.metrics import gauge
from inference.asked import SamplingParams
from inference.breaker import Breaker
from inference.client import LmClient
from inference.errors import InferenceError, Suspect

PROBE = "The sky is"
"""A question that every server answers at once. It is asked with the same parameters as all others, so a server that
refuses one of those is found to be the culprit too."""

POLL_S = 0.1
"""How often those who wait look whether the one who probes has been answered."""

log = logs.get(__name__)


@dataclass(slots=True)
class Gate:
    """Lets batches through while the server answers; time is the running event loop's."""

    client: LmClient
    params: SamplingParams
    probe_timeout_s: float
    breaker: Breaker = field(default_factory=Breaker)
    jitter: Callable[[], float] = random.random

    async def passed(self) -> None:
        """Return when the server may be asked; one of those who wait here probes it now and then."""
        while not self.breaker.closed:
            if self.breaker.may_probe(_now_s()):
                await self.works()
            else:
                await asyncio.sleep(max(POLL_S, self.breaker.wait_s(_now_s())))

    async def works(self) -> bool:
        """Ask the probe now, whatever the breaker says, and tell it the outcome."""
        try:
            await self.client.complete([PROBE], self.params, timeout_s=self.probe_timeout_s)
        except InferenceError as error:
            self._told(closed_before=self.breaker.closed, error=error)
            self.breaker.trip(_now_s(), self.jitter())
            return False
        self.worked()
        return True

    def worked(self) -> None:
        """A batch was answered."""
        if not self.breaker.closed:
            log.info("model server answers again")
            gauge("cosmo_lm_breaker_open").set(0)
        self.breaker.worked()

    def unavailable(self, error: InferenceError) -> None:
        """A batch met a server that does not answer."""
        closed_before = self.breaker.closed
        self.breaker.failed(_now_s(), self.jitter())
        if not self.breaker.closed:
            self._told(closed_before=closed_before, error=error)

    def _told(self, *, closed_before: bool, error: InferenceError) -> None:
        """One line when the server goes; the metric says the rest."""
        gauge("cosmo_lm_breaker_open").set(1)
        if closed_before:
            detail = "fails at everything" if isinstance(error, Suspect) else "does not answer"
            log.warning("model server is away; waiting for it", how=detail, reason=error.what, advice=error.advice)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
