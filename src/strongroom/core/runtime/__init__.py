"""What keeps the work of a process going and says how it goes."""
