"""Open streams: their first items, and which later items each of them gets."""
