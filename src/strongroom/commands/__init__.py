"""The subcommands of `strongroom`."""
