"""What tests, fault runs and benchmarks share: real parts that behave as they are told."""
