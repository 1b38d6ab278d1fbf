"""A backend without a service behind it, for what does not depend on one."""


class Scripted:
    """A backend that answers as the test says, and counts how often it is asked."""

    def __init__(self, reference: str = "vault:a/keys/b") -> None:
        self.reference = reference
        self.answers: dict[bytes, bytes | Exception] = {}
        self.asked = 0
        self.is_closed = False

    async def wrap(self, key: bytes) -> bytes:
        self.answers[b"wrapped " + key] = key
        return b"wrapped " + key

    async def unwrap(self, wrapped: bytes) -> bytes:
        self.asked += 1
        answer = self.answers[wrapped]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def rewrap(self, wrapped: bytes) -> bytes:
        return wrapped

    async def describe(self) -> str:
        return f"{self.reference} is scripted"

    async def close(self) -> None:
        self.is_closed = True
