"""Which pairs are worth explaining: pure rules over what the state knows, and the worker that applies them."""
