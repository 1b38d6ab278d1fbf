"""The chain's state: keys and values, by name, and from one runtime to the next."""
