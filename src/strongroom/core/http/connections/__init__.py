"""One connection of a client, and the limits of what it may take."""
