"""Who may have what signed."""
