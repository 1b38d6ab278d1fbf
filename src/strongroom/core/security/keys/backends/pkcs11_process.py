"""Answers one question with a PKCS#11 library, and ends: see `pkcs11`.

The question comes on standard input, the answer goes out on standard output. The library gets another standard output, because
some write to it.
"""

import ctypes
import os
import resource
import sys
from enum import StrEnum
from typing import Any, Final

import msgspec

from strongroom.core.json_decoder import decode_json

PR_SET_DUMPABLE = 4
TAG_BITS: Final = 128


class Outcome(StrEnum):
    DONE = "done"
    AWAY = "away"
    DENIED = "denied"
    NO_KEY = "no key"
    REFUSED = "refused"


class Question(msgspec.Struct, kw_only=True, frozen=True):
    operation: str
    module: str
    token: str
    label: str
    pin: str
    nonce: bytes
    bound: bytes
    data: bytes

    def __repr__(self) -> str:
        return "Question(hidden)"


class Answer(msgspec.Struct, kw_only=True, frozen=True):
    outcome: Outcome
    words: str = ""
    data: bytes = b""

    def __repr__(self) -> str:
        return "Answer(hidden)"


def main() -> None:
    _keep_memory_private()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    question = decode_json(sys.stdin.buffer.read(), Question)
    with answers:
        answers.write(msgspec.json.encode(answer(question)))
    # Without the library's own end, which may hang as well.
    os._exit(0)


def answer(question: Question) -> Answer:
    """Asks the token."""
    import pkcs11  # noqa: PLC0415 - an extra

    try:
        library = pkcs11.lib(question.module)
        token = library.get_token(token_label=question.token)
        with token.open(user_pin=question.pin) as session:
            key = session.get_key(
                object_class=pkcs11.ObjectClass.SECRET_KEY, key_type=pkcs11.KeyType.AES, label=question.label
            )
            return _with_key(key, question)
    except pkcs11.exceptions.PKCS11Error as error:
        return _failure(error, question)


def _with_key(key: Any, question: Question) -> Answer:
    import pkcs11  # noqa: PLC0415

    if key[pkcs11.Attribute.EXTRACTABLE]:
        return Answer(
            outcome=Outcome.NO_KEY,
            words=f"the key {question.label!r} can be taken out of the token: make one that is not extractable",
        )

    def crypt(work: Any, data: bytes) -> bytes:
        parameter = pkcs11.GCMParams(question.nonce, question.bound, TAG_BITS)
        done: bytes = work(data, mechanism=pkcs11.Mechanism.AES_GCM, mechanism_param=parameter)
        return done

    if question.operation == "encrypt":
        return Answer(outcome=Outcome.DONE, data=crypt(key.encrypt, question.data))
    try:
        return Answer(outcome=Outcome.DONE, data=crypt(key.decrypt, question.data))
    except pkcs11.exceptions.PKCS11Error:
        # Libraries have many words for a wrong tag, some of them those of a broken device. One that works is not broken.
        crypt(key.encrypt, question.data)
        return Answer(outcome=Outcome.REFUSED, words="it did not wrap this key, or did so for another ledger")


def _failure(error: Exception, question: Question) -> Answer:
    from pkcs11 import exceptions  # noqa: PLC0415

    pin = {
        exceptions.PinIncorrect: "the token refuses the PIN; it locks itself after some wrong ones",
        exceptions.PinInvalid: "the token refuses the PIN; it locks itself after some wrong ones",
        exceptions.PinLenRange: "the PIN has a length that the token does not know",
        exceptions.PinExpired: "the PIN has expired",
        exceptions.PinLocked: "the token has locked itself after too many wrong PINs: its officer must set a new one",
        exceptions.UserPinNotInitialized: "the token has no PIN for users yet",
    }
    key = {
        exceptions.NoSuchKey: f"the token {question.token!r} has no AES key {question.label!r}",
        exceptions.MultipleObjectsReturned: f"the token has several keys {question.label!r}",
        exceptions.MultipleTokensReturned: f"there are several tokens {question.token!r}",
        exceptions.KeyTypeInconsistent: f"the key {question.label!r} is not for AES-GCM",
        exceptions.MechanismInvalid: "the token has no AES-GCM",
        exceptions.MechanismParamInvalid: "the token has another AES-GCM",
        exceptions.FunctionNotSupported: "the token has no AES-GCM",
    }
    kind = type(error)
    if kind in pin:
        return Answer(outcome=Outcome.DENIED, words=pin[kind])
    if kind in key:
        return Answer(outcome=Outcome.NO_KEY, words=key[kind])
    if kind is exceptions.PKCS11Error:
        return Answer(outcome=Outcome.REFUSED, words=f"the library {question.module} does not load")
    if kind is exceptions.NoSuchToken:
        return Answer(outcome=Outcome.AWAY, words=f"there is no token {question.token!r}")
    return Answer(outcome=Outcome.AWAY, words=kind.__name__)


def _keep_memory_private() -> None:
    """As the service itself: no core dumps, and no other program of the same user looks in."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


if __name__ == "__main__":
    main()
