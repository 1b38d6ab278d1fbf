"""Protects secrets: key-encryption keys, sealed values and their bindings, API tokens, policy and audit trail."""
