"""What every ledger needs and no ledger owns. Imports no ledger."""
