"""Measured against peers and goals. Each program prints JSON lines; `bench.report` makes docs/benchmarks.md of them."""
