"""Events in, pairs worth explaining out: the Faust side of the stream."""
