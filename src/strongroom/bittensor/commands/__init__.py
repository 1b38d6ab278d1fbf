"""The subcommands of `strongroom bittensor`, and what `strongroom doctor` asks of it."""
