"""Keeps key-encryption keys under a key that HashiCorp Vault, OpenBao, AWS KMS or an HSM holds."""
