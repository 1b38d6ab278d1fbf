"""Takes over the database of an original, and gives it back as it was. See docs/migrate-*.md."""
