"""What guards secrets: key-encryption keys, and what binds a sealed value to its row."""
