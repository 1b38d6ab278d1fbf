"""The names of the Hathor ledger's surfaces, and of what holds its secrets."""

API_SURFACE, SOCKET_SURFACE = SURFACES = ("hathor", "hathor-ws")
SECRET_FILE = "hathor-auth-secret"  # noqa: S105 - its name
CREDENTIALS = ("AUTH_SECRET", "AUTH_SECRET_PREVIOUS", "HATHOR_HEALTH_API_KEY")
