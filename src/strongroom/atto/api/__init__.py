"""The Atto Wallet Server's HTTP surface: its routes, documents, statuses and words."""
