"""A Bittensor chain for tests and newcomers, with pallets that change its state and the real metadata's types."""
