"""The surface of the admin API."""
