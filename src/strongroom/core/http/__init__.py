"""HTTP, towards clients and towards the outside."""
