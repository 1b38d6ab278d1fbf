"""The HTTP API of the Atto Wallet Server: its routes, documents, status codes and error texts."""
