"""People who signed in with a token in a browser."""
