"""What the parsers and readers of this package raise. Messages name fields and rules; they never hold a secret."""


class ProtocolError(ValueError):
    """A value does not have the form it claims."""


class KeyFileError(ProtocolError):
    """A key file cannot be read."""


class WrongPassword(KeyFileError):
    """The password does not open the key file; or the file was altered, which looks the same."""


class PasswordNeeded(KeyFileError):
    """The key file is encrypted, and no password was given."""


class RefusedMessage(ProtocolError):
    """Not a message that may be signed: it could be a transaction, or stand for one."""
