"""HTTP to the outside: the one client, and the limits of what a peer may answer."""
