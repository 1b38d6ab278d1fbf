"""The subcommands of `strongroom atto`, and the Atto checks of `strongroom doctor`."""
