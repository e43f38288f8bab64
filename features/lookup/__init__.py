"""Look-ups: from a query or a product to what is known of it, how old that is, and why."""
