"""The names of the Bittensor ledger's surface, and of the variables that hold its secrets."""

(API_SURFACE,) = SURFACES = ("bittensor",)
CREDENTIALS = ("WALLET_SERVICE_TOKEN", "MANAGER_JWT_SECRET_KEY")
