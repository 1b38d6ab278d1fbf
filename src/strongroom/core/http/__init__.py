"""HTTP: the listeners for clients, and the client for nodes and other peers."""
