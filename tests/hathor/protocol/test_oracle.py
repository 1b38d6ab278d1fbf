"""Generated transactions mean the same to hathorlib as to us. It pins old libraries, so it has its own environment."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strongroom.hathor.protocol.hashes import sha256d
from strongroom.hathor.protocol.headers import Fee, FeeHeader, Header, NanoAction, NanoHeader
from strongroom.hathor.protocol.transactions import Input, Output, TokenInfo, Transaction, parse_transaction
from strongroom.hathor.protocol.work import minimum_weight

REQUIREMENT = "hathorlib==0.15.0"
Oracle = Callable[[Transaction], dict[str, Any]]


@pytest.fixture(scope="module")
def oracle(pytestconfig: pytest.Config) -> Iterator[Oracle]:
    assert pytestconfig.cache is not None
    folder = Path(pytestconfig.cache.mkdir("hathorlib"))
    python = folder / "bin" / "python"
    probe = [str(python), "-c", "import hathorlib"]
    if not python.exists() or subprocess.run(probe, check=False).returncode != 0:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", REQUIREMENT]
        subprocess.run(install, check=True)
    script = Path(__file__).with_name("hathorlib_oracle.py")
    with subprocess.Popen(
        [str(python), str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None

        def ask(transaction: Transaction) -> dict[str, Any]:
            stdin.write(transaction.encode().hex() + "\n")
            stdin.flush()
            answer: dict[str, Any] = json.loads(stdout.readline())
            return answer

        yield ask
        stdin.close()


ids = st.binary(min_size=32, max_size=32)
values = st.one_of(st.integers(1, 2**31 + 10), st.integers(2**31, 2**63))
names = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF, categories=("L", "N")), min_size=1)
inputs = st.builds(Input, tx_id=ids, index=st.integers(0, 255), data=st.binary(max_size=120))
nanos = st.builds(
    NanoHeader,
    contract_id=ids,
    seqnum=st.integers(0, 2**30),
    method=st.from_regex(r"[a-z_]{1,20}", fullmatch=True),
    arguments=st.binary(max_size=80),
    actions=st.just(())
    | st.tuples(st.builds(NanoAction, kind=st.just(1), token_index=st.just(0), value=values)),
    address=st.binary(min_size=25, max_size=25),
    script=st.binary(max_size=120),
)
fees = st.builds(
    FeeHeader, fees=st.tuples(st.builds(Fee, token_index=st.just(0), value=st.integers(1, 2**40)))
)


@st.composite
def transactions(draw: st.DrawFn) -> Transaction:
    info = draw(
        st.none()
        | st.builds(
            TokenInfo,
            version=st.just(1),
            name=names.filter(lambda n: len(n) <= 30),
            symbol=names.map(lambda n: n[:5]),
        )
    )
    tokens = () if info else tuple(draw(st.lists(ids, max_size=3, unique=True)))
    indexes = st.integers(0, 1 if info else len(tokens))
    normal = st.builds(Output, value=values, token_data=indexes, script=st.binary(max_size=80))
    authority = st.builds(
        Output,
        value=st.integers(1, 3),
        token_data=indexes.filter(bool).map(lambda i: i | 0x80),
        script=st.binary(max_size=80),
    )
    outputs = draw(st.lists(normal | authority if info or tokens else normal, max_size=4))
    headers: list[Header] = [
        header for header in draw(st.tuples(st.none() | nanos, st.none() | fees)) if header
    ]
    return Transaction(
        signal_bits=draw(st.integers(0, 255)),
        token_ids=tokens,
        inputs=tuple(draw(st.lists(inputs, max_size=4))),
        outputs=tuple(outputs),
        token_info=info,
        weight=draw(st.floats(0, 256)),
        timestamp_s=draw(st.integers(0, 2**32 - 1)),
        parents=tuple(draw(st.lists(ids, max_size=2))),
        nonce=draw(st.integers(0, 2**32 - 1)),
        headers=tuple(headers),
    )


def test_hathorlib_agrees(oracle: Oracle) -> None:
    _try_many(oracle, examples=60)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_hathorlib_agrees_on_very_many(oracle: Oracle) -> None:
    _try_many(oracle, examples=1_000)


def _try_many(oracle: Oracle, *, examples: int) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(transaction=transactions())
    def check(transaction: Transaction) -> None:
        _require_agreement(oracle, transaction)

    check()


def _require_agreement(oracle: Oracle, transaction: Transaction) -> None:
    answer = oracle(transaction)
    assert answer == {
        "hash": transaction.id,
        "bytes": transaction.encode().hex(),
        "sighash": answer["sighash"],
        "weight": pytest.approx(minimum_weight(transaction), abs=1e-9),
        "tokens": [transaction.id]
        if transaction.token_info
        else [token.hex() for token in transaction.token_ids],
        "outputs": [[o.value, o.token_data, o.script.hex()] for o in transaction.outputs],
    }
    assert sha256d(bytes.fromhex(answer["sighash"])) == transaction.signing_digest()
    assert parse_transaction(transaction.encode()) == transaction
