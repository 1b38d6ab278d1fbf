"""What the audit trail shows to people, and what it proves to those who do not trust its database."""
