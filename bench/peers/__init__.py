"""One process for each consumer that is measured. They share the events, the broker and `bench.peers.meter`."""
