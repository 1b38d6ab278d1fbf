"""Two engines that search for proof of work: a compiled one, and one in Python."""

import ctypes
import time
from pathlib import Path
from typing import ClassVar, Final, Protocol

from strongroom.atto.protocol import U64_MAX, work_value
from strongroom.atto.protocol.fields import HASH_SIZE

LIBRARY: Final = Path(__file__).with_name("blake2b_work.so")
"""Built from `blake2b_work.c` at the installation, if there is a C compiler."""

WIDTHS: Final = (1, 4, 8)
"""Plain, AVX2, AVX-512."""

StopFlag = ctypes.c_int32
"""A flag that several searches share: any value except 0 ends them."""


class Engine(Protocol):
    """A blocking search, which runs in a thread. All engines find the same nonce: the first valid one from the start on."""

    name: ClassVar[str]
    is_parallel: ClassVar[bool]
    """Whether several threads are faster than one."""

    def search(self, target: bytes, threshold: int, start: int, stop: StopFlag) -> int | None:
        """The first nonce from `start` on whose value is not above `threshold`; after 2^64-1 the search continues at 0.

        Sets `stop` when it has found one. Returns None if another thread has set it.
        """
        ...


class NativeEngine:
    """The C library. A search releases the interpreter lock and checks the flag every few microseconds."""

    name: ClassVar = "native"
    is_parallel: ClassVar = True

    def __init__(self, lanes: int | None = None) -> None:
        """`lanes` nonces are tried at the same time, by default as many as this processor supports.

        Raises:
            OSError: the library was not built.
            ValueError: this processor has no such width.
        """
        library = ctypes.CDLL(str(LIBRARY))
        widest: int = library.strongroom_widest()
        self.lanes = widest if lanes is None else lanes
        if self.lanes not in WIDTHS or self.lanes > widest:
            raise ValueError(f"This processor has no search of width {self.lanes}")
        self._search = library.strongroom_search
        self._search.argtypes = [
            ctypes.c_int,
            ctypes.c_char_p,
            ctypes.c_uint64,
            ctypes.c_uint64,
            ctypes.POINTER(StopFlag),
            ctypes.POINTER(ctypes.c_uint64),
        ]

    def search(self, target: bytes, threshold: int, start: int, stop: StopFlag) -> int | None:
        if len(target) != HASH_SIZE:
            raise ValueError(f"A target has {HASH_SIZE} bytes")
        found = ctypes.c_uint64()
        is_found = self._search(self.lanes, target, threshold, start, stop, found)
        return found.value if is_found else None


class HashlibEngine:
    """Plain Python. It holds the interpreter lock, so it pauses after each batch to let the event loop run."""

    name: ClassVar = "hashlib"
    is_parallel: ClassVar = False
    _BATCH: Final = 1024
    _REST_S: Final = 50e-6

    def search(self, target: bytes, threshold: int, start: int, stop: StopFlag) -> int | None:
        nonce = start
        while not stop.value:
            for _ in range(self._BATCH):
                if work_value(nonce.to_bytes(8, "little"), target) <= threshold:
                    stop.value = 1
                    return nonce
                nonce = (nonce + 1) & U64_MAX
            time.sleep(self._REST_S)
        return None


def load_engine() -> Engine:
    """The native engine, or the slow one if the library was not built."""
    try:
        return NativeEngine()
    except OSError:
        return HashlibEngine()
