"""Routes that concern the audit trail."""
