"""The names of the Atto ledger's surfaces."""

(API_SURFACE,) = SURFACES = ("atto",)
