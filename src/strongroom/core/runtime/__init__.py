"""What keeps the work of one process going and says how it goes. Needs no database."""
