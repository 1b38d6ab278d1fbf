"""The signatures that unlock inputs."""

from coincurve import PrivateKey, PublicKey
from coincurve.ecdsa import cdata_to_der, der_to_cdata, signature_normalize

from strongroom.hathor.protocol.addresses import AddressKind
from strongroom.hathor.protocol.errors import ProtocolError, SignatureError
from strongroom.hathor.protocol.hashes import hash160
from strongroom.hathor.protocol.scripts import OP_0, OP_CHECKMULTISIG, Payment, push, pushes

KEY_SIZE = 33


def sign_input(digest: bytes, private_key: bytes) -> bytes:
    """The input data that spends a P2PKH output. For tests and the sandbox: the service holds no such key."""
    key = PrivateKey(private_key)
    return push(key.sign(digest, hasher=None)) + push(key.public_key.format())


def verify_input(digest: bytes, data: bytes, spent: Payment) -> None:
    """Checks that `data` unlocks an output that pays to `spent.address` (not its timelock).

    Raises:
        SignatureError: it does not.
        ProtocolError: it is malformed.
    """
    parts = pushes(data)
    if not parts or hash160(parts[-1]) != spent.address.hash:
        raise SignatureError("The input names another key or script than the output")
    if spent.address.kind is AddressKind.P2PKH:
        if len(parts) != 2:  # noqa: PLR2004 - signature, key
            raise SignatureError("The input must be a signature and a key")
        _verify(digest, parts[0], parts[1])
        return
    _verify_multisig(digest, parts[:-1], parts[-1])


def _verify_multisig(digest: bytes, signatures: list[bytes], redeem: bytes) -> None:
    required, keys = _parse_redeem(redeem)
    if len(signatures) != required:
        raise SignatureError(f"The input must have {required} signatures")
    remaining = iter(keys)
    for signature in signatures:  # in the keys' order, each key once
        if not any(_matches(digest, signature, key) for key in remaining):
            raise SignatureError("A signature is of none of the keys")


def _parse_redeem(redeem: bytes) -> tuple[int, list[bytes]]:
    if len(redeem) < 3 or redeem[-1] != OP_CHECKMULTISIG:  # noqa: PLR2004 - m, n, opcode
        raise ProtocolError("The redeem script is not a multisignature")
    keys = pushes(redeem[1:-2])
    required, count = redeem[0] - OP_0, redeem[-2] - OP_0
    if len(keys) != count or not 1 <= required <= count:
        raise ProtocolError("The redeem script miscounts its keys")
    return required, keys


def _matches(digest: bytes, signature: bytes, key: bytes) -> bool:
    try:
        _verify(digest, signature, key)
    except SignatureError:
        return False
    return True


def _verify(digest: bytes, signature: bytes, key: bytes) -> None:
    try:
        # The node takes both forms of a signature (s and its negative), libsecp256k1 only the lower one.
        lower = cdata_to_der(signature_normalize(der_to_cdata(signature))[1])
        valid = len(key) == KEY_SIZE and PublicKey(key).verify(lower, digest, hasher=None)
    except ValueError as error:
        raise SignatureError("The signature or key is malformed") from error
    if not valid:
        raise SignatureError("The signature is of another key or transaction")
