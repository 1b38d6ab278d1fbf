"""Events that are stored with their cause and delivered after it."""
