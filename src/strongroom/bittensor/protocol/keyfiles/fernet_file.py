"""Opens Fernet key files of the first releases, which btwallet no longer opens.

https://github.com/fernet/spec
"""

import base64
import hashlib
from typing import Final

from cryptography.fernet import Fernet, InvalidToken

from strongroom.bittensor.protocol.errors import WrongPassword

MAGIC: Final = b"gAAAAA"
_SALT: Final = b"Iguesscyborgslikemyselfhaveatendencytobeparanoidaboutourorigins"
_ROUNDS: Final = 10_000_000
_KEY_BYTES: Final = 32


def decrypt(data: bytes, password: bytes) -> bytes:
    """Returns the plain JSON. It takes some seconds. Raises: WrongPassword."""
    key = hashlib.pbkdf2_hmac("sha256", password, _SALT, _ROUNDS, _KEY_BYTES)
    try:
        return Fernet(base64.urlsafe_b64encode(key)).decrypt(data.strip())
    except InvalidToken:
        raise WrongPassword("The password does not open the key file") from None
