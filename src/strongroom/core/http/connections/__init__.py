"""The connections of clients, and the limits on them."""
