"""A Bittensor chain for tests and newcomers: its state is made by pallets, its types by real metadata."""
