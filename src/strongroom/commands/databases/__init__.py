"""Commands that copy databases: to another place, and back."""
