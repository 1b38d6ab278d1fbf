"""A validator: asks miners, scores their answers, and has the wallet service set the weights every epoch."""

import argparse
import asyncio
import logging
import random
import time
from collections.abc import Sequence
from typing import Any

import bittensor as bt
from neuron import Neuron, arguments, start_log, until_stopped
from strongroom.bittensor.client import ServiceError
from subnet import Square

log = logging.getLogger("validator")

REMEMBERED = 0.9
"""How much of a score outlives one round of questions."""
ANSWER_S = 5.0


class Scores:
    """Moving average of right answers, by hotkey: a uid may change hands."""

    def __init__(self) -> None:
        self._scores: dict[str, float] = {}

    def add(self, hotkey: str, *, right: bool) -> None:
        old = self._scores.get(hotkey, 0.0)
        self._scores[hotkey] = REMEMBERED * old + (1 - REMEMBERED) * float(right)

    def weights(self, hotkeys: Sequence[str]) -> dict[int, float]:
        """uid → share of all scores, of those above zero."""
        scores = {uid: self._scores[key] for uid, key in enumerate(hotkeys) if self._scores.get(key, 0.0) > 0}
        total = sum(scores.values())
        return {uid: score / total for uid, score in scores.items()}


class Validator:
    def __init__(self, config: argparse.Namespace) -> None:
        self._neuron = Neuron(config)
        self._uid = self._neuron.uid()
        self._scores = Scores()
        self._epoch_blocks: int = (
            config.epoch_blocks or int(self._neuron.subtensor.tempo(self._neuron.netuid)) + 1
        )
        self._next_block = 0

    async def round(self) -> None:
        """Asks every miner once; sets weights when an epoch has passed."""
        metagraph = self._neuron.subtensor.metagraph(self._neuron.netuid)
        axons = [axon for axon in metagraph.axons if axon.is_serving and axon.hotkey != self._neuron.hotkey]
        await self._ask(axons)
        block = int(self._neuron.subtensor.get_current_block())
        if block >= self._next_block:
            self._set_weights(list(metagraph.hotkeys), block)

    async def _ask(self, axons: list[Any]) -> None:
        if not axons:
            log.info("no miner serves yet")
            return
        number = random.randrange(1_000_000)
        async with bt.Dendrite(wallet=self._neuron.wallet) as dendrite:
            try:
                answers = await dendrite.forward(axons, Square(number=number), timeout=ANSWER_S)
            except ServiceError as error:
                log.warning("miners cannot be asked, the questions are not signed: %s", error)
                return
        for axon, square in zip(axons, answers, strict=True):
            self._scores.add(axon.hotkey, right=square == number * number)
        log.info("asked %d miners, %d were right", len(axons), sum(a == number * number for a in answers))

    def _set_weights(self, hotkeys: list[str], block: int) -> None:
        weights = self._scores.weights(hotkeys)
        if not weights:
            return
        result = self._neuron.service.set_weights(
            self._neuron.wallet,
            self._neuron.netuid,
            list(weights),
            list(weights.values()),
            wait_for_inclusion=True,
        )
        wait = self._epoch_blocks if result.success else result.blocks_to_wait or 1
        self._next_block = block + wait
        level = logging.INFO if result.success else logging.WARNING
        log.log(level, "set weights of %s by %s: %s", list(weights), result.source, result.message)


def main() -> None:
    parser = arguments("validator")
    parser.add_argument(
        "--epoch_blocks", type=int, default=0, help="blocks between two sets of weights; 0: the tempo"
    )
    parser.add_argument("--round_s", type=float, default=12.0, help="seconds between two rounds of questions")
    config = parser.parse_args()
    start_log()
    validator = Validator(config)
    stop = until_stopped()
    while not stop.is_set():
        began_s = time.monotonic()
        try:
            asyncio.run(validator.round())
        except Exception:
            log.exception("this round failed; the next one comes")
        stop.wait(max(0.0, config.round_s - (time.monotonic() - began_s)))


if __name__ == "__main__":
    main()
