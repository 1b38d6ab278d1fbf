"""Open streams: what each begins with, and who hears of what."""
