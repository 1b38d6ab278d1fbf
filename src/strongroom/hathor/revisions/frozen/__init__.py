"""What revisions stand on, and what never changes."""
