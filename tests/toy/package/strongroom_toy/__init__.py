"""A wallet service for the toy ledger, beside those of Strongroom."""
