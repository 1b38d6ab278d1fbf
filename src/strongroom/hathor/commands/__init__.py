"""The subcommands of `strongroom hathor`, and what `strongroom doctor` asks of it."""
