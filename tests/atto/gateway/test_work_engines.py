import subprocess
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atto.gateway.engines import ENGINES
from strongroom.atto.gateway import work_engines
from strongroom.atto.gateway.work_engines import (
    LIBRARY,
    Engine,
    HashlibEngine,
    NativeEngine,
    StopFlag,
    load_engine,
)
from strongroom.atto.protocol import U64_MAX, work_value

with_each_engine = pytest.mark.parametrize("engine", ENGINES)

targets = st.binary(min_size=32, max_size=32)
nonces = st.one_of(st.integers(0, U64_MAX), st.integers(U64_MAX - 60, U64_MAX))


@with_each_engine
@given(target=targets, start=nonces)
def test_finds_the_first_nonce_that_hashlib_finds(engine: Engine, target: bytes, start: int) -> None:
    after = [(start + offset) & U64_MAX for offset in range(40)]
    values = [work_value(nonce.to_bytes(8, "little"), target) for nonce in after]
    stop = StopFlag(0)
    assert engine.search(target, min(values), start, stop) == after[values.index(min(values))]
    assert stop.value == 1
    # Several of the nonces tried side by side are good enough here: the first of them counts.
    middle = sorted(values)[20]
    first = next(nonce for nonce, value in zip(after, values, strict=True) if value <= middle)
    assert engine.search(target, middle, start, StopFlag(0)) == first


@with_each_engine
def test_every_value_is_good_enough_for_the_highest_threshold(engine: Engine) -> None:
    assert engine.search(bytes(32), U64_MAX, 7, StopFlag(0)) == 7


@with_each_engine
def test_stopped_search_does_not_start(engine: Engine) -> None:
    assert engine.search(bytes(32), U64_MAX, 0, StopFlag(1)) is None


@with_each_engine
def test_running_search_ends_when_stopped(engine: Engine) -> None:
    stop, results = StopFlag(0), list[int | None]()
    thread = threading.Thread(target=lambda: results.append(engine.search(bytes(32), 0, 0, stop)))
    thread.start()
    stop.value = 1
    thread.join(timeout=5)
    assert results == [None]


@pytest.mark.parametrize("lanes", [0, 2, 16])
def test_unknown_width_is_refused(lanes: int) -> None:
    with pytest.raises(ValueError, match="width"):
        NativeEngine(lanes)


def test_the_widest_of_the_processor_is_chosen() -> None:
    """So that the widths that are not tried are those that it lacks."""
    words = set(Path("/proc/cpuinfo").read_text().split())
    assert NativeEngine().lanes == (8 if "avx512f" in words else 4 if "avx2" in words else 1)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_target_of_another_size_never_reaches_the_library(size: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        NativeEngine().search(bytes(size), U64_MAX, 0, StopFlag(0))


def test_native_engine_is_chosen_where_it_was_built() -> None:
    assert load_engine().name == "native"


def test_the_library_is_hardened() -> None:
    """It lies in a process that holds keys."""
    read = subprocess.run(["readelf", "-dlW", LIBRARY], check=True, capture_output=True, text=True).stdout
    assert "BIND_NOW" in read
    assert "GNU_RELRO" in read
    (stack,) = [line.split() for line in read.splitlines() if "GNU_STACK" in line]
    assert "RW" in stack


def test_hashlib_is_chosen_where_it_was_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(work_engines, "LIBRARY", tmp_path / "absent.so")
    assert isinstance(load_engine(), HashlibEngine)
