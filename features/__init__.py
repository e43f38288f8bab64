"""The feature store: what readers look up, how it is written, and the API that serves it.

``cosmo features apply`` writes the Feast repository; ``definitions.py`` says what is in it.
"""

import os

import prometheus_client  # noqa: F401 - before Feast: it decides at its import whether figures live in memory or in files

METRICS_IN_FILES = "PROMETHEUS_MULTIPROC_DIR" in os.environ
"""Whether whoever started this process wants its metrics shared by files; asked before Feast can be imported."""
