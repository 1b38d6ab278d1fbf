"""The errors that this package raises. Messages name fields and rules, and never contain a secret."""


class ProtocolError(ValueError):
    """A value does not have the form it claims."""


class KeyFileError(ProtocolError):
    """A key file cannot be read."""


class WrongPassword(KeyFileError):
    """The password does not open the key file, or the file was altered, which looks the same."""


class PasswordNeeded(KeyFileError):
    """The key file is encrypted, and no password was given."""


class RefusedMessage(ProtocolError):
    """A message must not be signed, because it could be a transaction or the digest of one."""
