"""TLS on the listeners: which certificates they have, whose client certificates they accept, and the handshake."""
