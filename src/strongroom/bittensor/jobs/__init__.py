"""Jobs: requests whose answer may take longer than a client waits."""
