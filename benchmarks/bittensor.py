"""The Bittensor service against a sandbox chain, as real processes, in one run.

    .venv/bin/python benchmarks/bittensor.py [--mariadb] [--validators 256] [--rounds 5] [--sdk]

Prints the service's CPU time for one set_weights of 256 weights until the pool has it, one after the other, and how long
many validators at once take until all of theirs are in the pool; each beside its aim. Node and client share the machine.
With --sdk the same weights are also submitted by the official SDK (10.5.0), which holds the key itself.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from strongroom.bittensor.definition import LEDGER
from strongroom.bittensor.keystore.names import hotkey
from strongroom.bittensor.keystore.wallets import NewKey
from strongroom.bittensor.protocol.keys import Keypair
from strongroom.core.clock import SystemClock, SystemEntropy
from strongroom.core.ledger.surroundings import Surroundings
from strongroom.core.runtime.telemetry import Health, Metrics
from strongroom.core.security.access import OPERATOR
from strongroom.settings import read_settings
from support.bittensor.live_node import NETUID
from support.bittensor.sdks import sdk
from support.mariadb import running_mariadb
from support.ports import free_port
from support.processes import Process, python, strongroom

NODE = """
import asyncio, sys
from support.bittensor.live_node import live_node, new_node
from strongroom.bittensor.protocol.keys import Keypair

async def main(count):
    keys = [Keypair.from_uri(f"//Bench//{number}").public_key for number in range(count)]
    async with live_node(new_node(424, keys)) as live:
        live.change(WeightsSetRateLimit=0)
        print("node", live.url, flush=True)
        while True:
            await asyncio.sleep(1)
            live.produce()

asyncio.run(main(int(sys.argv[1])))
"""
SDK = """
import json, resource, sys, tempfile, time
import bittensor as bt
from bittensor_wallet import Keypair, Wallet

url, uri, rounds, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
wallet = Wallet(name="bench", hotkey="default", path=tempfile.mkdtemp())
wallet.set_coldkeypub(Keypair.create_from_uri(uri), encrypt=False)
wallet.set_hotkey(Keypair.create_from_uri(uri), encrypt=False)
chain = bt.Subtensor(network=url)

def until_next_block():
    block = chain.get_current_block()
    while chain.get_current_block() == block:
        time.sleep(0.05)

taken = []
for first in range(rounds):
    wall, cpu = time.perf_counter(), time.process_time()
    weights = [first + number for number in range(count)]
    answer = chain.set_weights(
        wallet=wallet, netuid=2, uids=list(range(count)), weights=weights,
        wait_for_inclusion=False, wait_for_finalization=False, raise_error=True,
    )
    assert answer.success, answer
    taken.append([time.perf_counter() - wall, time.process_time() - cpu])
    if first + 1 < rounds:
        until_next_block()
        until_next_block()
print(json.dumps(taken), flush=True)
import os
os._exit(0)
"""
TOKEN = "benchmark-token-0123456789-0123456789"  # noqa: S105 - for this machine alone
AIM_CPU_MS = 10.0
AIM_ALL_S = 1.0
AIM_COLD, AIM_WARM = 20, 3
WEIGHTS = 256
TICKS = os.sysconf("SC_CLK_TCK")


async def prepare(variables: Mapping[str, str], count: int) -> None:
    """Makes the database, with a hotkey for every validator."""
    settings = read_settings(variables, ("bittensor",)).of(LEDGER)
    if settings is None:
        raise SystemExit("no settings")
    ledger = LEDGER.make(
        settings,
        Surroundings(clock=SystemClock(), entropy=SystemEntropy(), health=Health(), metrics=Metrics("bench")),
    )
    await ledger.open()
    pairs = [Keypair.from_uri(f"//Bench//{number}") for number in range(count)]
    keys = [
        NewKey(key=hotkey("bench", f"h{number}"), public_key=pair.public_key, keypair=pair)
        for number, pair in enumerate(pairs)
    ]
    await ledger.wallets.import_(OPERATOR, keys)
    await ledger.close()


def cpu_s(process: Process) -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class Client:
    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def set_weights(self, validator: int, first: int, *, final: bool = False) -> float:
        """Seconds until the answer; weights that differ by `first`."""
        data = {
            "netuid": NETUID,
            "uids": list(range(WEIGHTS)),
            "weights": [first + number for number in range(WEIGHTS)],
            "version_key": 0,
            "wait_for_finalization": final,
        }
        body = {"wallet_name": "bench", "hotkey_name": f"h{validator}", "transaction_data": data}
        started_s = time.perf_counter()
        async with self._session.post(f"{self._url}/wallet/set_weights", json=body) as response:
            answer: dict[str, Any] = await response.json()
        if answer.get("success") is not True:
            raise SystemExit(f"not set: {answer}")
        return time.perf_counter() - started_s


async def run(options: argparse.Namespace, stack: ExitStack, variables: dict[str, str]) -> None:
    count = max(options.validators, WEIGHTS)
    node = stack.enter_context(python(NODE, str(count)))
    port = free_port()
    variables |= {
        "network": "local",
        "chain_endpoint": node.wait_for("node ws").split()[1],
        "BITTENSOR_PORT": str(port),
        "MANAGEMENT_PORT": "0",
        "WALLET_SERVICE_TOKEN": TOKEN,
        "BITTENSOR_REQUESTS_A_MINUTE": "1000000",
        "LOG_LEVEL": "WARNING",
    }
    await prepare(variables, count)
    service = stack.enter_context(strongroom("serve", "bittensor", environment=variables))
    service.wait_ready(60)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
        client = Client(session, f"http://127.0.0.1:{port}")
        alone = await one_by_one(client, service, options.validators)
        if options.sdk:
            beside_the_sdk(variables["chain_endpoint"], alone)
        await all_at_once(client, service, node, options)


@dataclass(frozen=True, slots=True)
class Alone:
    wall_s: float
    """Median, as a caller sees it."""
    cpu_s: float


async def one_by_one(client: Client, service: Process, validators: int) -> Alone:
    await client.set_weights(0, 0, final=True)  # metadata and connections
    before_s = cpu_s(service)
    taken_s = [await client.set_weights(number, 0, final=False) for number in range(1, validators)]
    cpu_ms = 1000 * (cpu_s(service) - before_s) / len(taken_s)
    print(
        f"one by one: CPU {cpu_ms:.2f} ms each (aim {AIM_CPU_MS:g}), p50 {1000 * statistics.median(taken_s):.1f} ms,"
        f" p99 {1000 * statistics.quantiles(taken_s, n=100)[98]:.1f} ms"
    )
    return Alone(statistics.median(taken_s), cpu_ms / 1000)


def beside_the_sdk(chain: str, alone: Alone) -> None:
    """A process of the SDK from its start until the pool has its weights; and one that goes on setting them."""
    python_of_sdk = sdk("10.5.0").python
    cold_s, _ = _sdk(python_of_sdk, chain, "//Bench//0", 1)
    _, warm = _sdk(python_of_sdk, chain, "//Bench//0", 8)
    wall_s, cpu_s_each = (statistics.median(column) for column in zip(*warm[1:], strict=True))
    print(
        f"the SDK, cold: {cold_s:.2f} s, {cold_s / alone.wall_s:.0f} times the service's {1000 * alone.wall_s:.1f} ms"
        f" (aim {AIM_COLD})"
    )
    print(
        f"the SDK, warm: {1000 * wall_s:.1f} ms, {wall_s / alone.wall_s:.1f} times (aim {AIM_WARM}); CPU"
        f" {1000 * cpu_s_each:.1f} ms, {cpu_s_each / alone.cpu_s:.1f} times"
    )


def _sdk(program: Path, chain: str, uri: str, rounds: int) -> tuple[float, list[list[float]]]:
    """Seconds of the whole process, and (wall, CPU) of each call."""
    with tempfile.TemporaryDirectory() as home:
        environment = {"PATH": os.environ["PATH"], "HOME": home, "BT_NO_PARSE_CLI_ARGS": "1"}
        started_s = time.perf_counter()
        done = subprocess.run(
            [program, "-c", SDK, chain, uri, str(rounds), str(WEIGHTS)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        taken_s = time.perf_counter() - started_s
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    calls: list[list[float]] = json.loads(done.stdout.splitlines()[-1])
    return taken_s, calls


async def all_at_once(client: Client, service: Process, node: Process, options: argparse.Namespace) -> None:
    for round_number in range(1, options.rounds + 1):
        await asyncio.sleep(4)  # until the round before is final, and its slots are free
        before_s, node_s, started_s = cpu_s(service), cpu_s(node), time.perf_counter()
        taken_s = await asyncio.gather(
            *(client.set_weights(number, round_number) for number in range(options.validators))
        )
        wall_s = time.perf_counter() - started_s
        cpu_ms = 1000 * (cpu_s(service) - before_s) / options.validators
        node_ms = 1000 * (cpu_s(node) - node_s) / options.validators
        p99_s = statistics.quantiles(taken_s, n=100)[98]
        print(
            f"{options.validators} at once: all in the pool after {wall_s:.2f} s, p99 {p99_s:.2f} s (aim"
            f" {AIM_ALL_S:g}), CPU {cpu_ms:.2f} ms each, of the node {node_ms:.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--mariadb", action="store_true", help="instead of SQLite")
    parser.add_argument("--sdk", action="store_true", help="beside the official SDK")
    parser.add_argument("--validators", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        variables = {"STRONGROOM_DATA": folder}
        if options.mariadb:
            url = stack.enter_context(running_mariadb()).new_database()
            variables |= {
                "BITTENSOR_DB_HOST": str(url.host),
                "BITTENSOR_DB_PORT": str(url.port),
                "BITTENSOR_DB_NAME": str(url.database),
                "BITTENSOR_DB_USER": str(url.username),
                "BITTENSOR_DB_PASSWORD": str(url.password),
            }
        asyncio.run(run(options, stack, variables))


if __name__ == "__main__":
    main()
