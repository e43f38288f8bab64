"""What the sampler knows, as semilattices: every table is a set merged by union, so that delivery at least once, in any
order and by any owner gives the same state. Kept in memory, made durable by segments in a compacted topic."""
