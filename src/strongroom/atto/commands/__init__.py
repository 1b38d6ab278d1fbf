"""The subcommands of `strongroom atto`, and what `strongroom doctor` asks of it."""
