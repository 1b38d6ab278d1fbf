"""What is made to go wrong on purpose, in front of the whole application."""
