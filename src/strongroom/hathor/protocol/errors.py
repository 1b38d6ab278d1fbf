"""What the verifiers and parsers of this package raise."""


class ProtocolError(ValueError):
    """A value does not have the form it claims."""


class SignatureError(ProtocolError):
    """A signature was not made by the key it should be of."""
