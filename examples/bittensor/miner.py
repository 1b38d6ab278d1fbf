"""A miner: answers squares, and has the wallet service announce where."""

import logging

import bittensor as bt
from neuron import LOCAL_ADDRESS, Neuron, arguments, is_local, start_log, until_stopped
from subnet import Square

log = logging.getLogger("miner")


def answer(request: Square) -> Square:
    request.square = request.number * request.number
    return request


def main() -> None:
    parser = arguments("miner")
    parser.add_argument("--axon.port", dest="port", type=int, default=8091)
    parser.add_argument("--axon.external_ip", dest="external_ip", help="the address that validators reach")
    config = parser.parse_args()
    start_log()
    neuron = Neuron(config)
    uid = neuron.uid()
    axon = bt.Axon(
        wallet=neuron.wallet,
        port=config.port,
        external_port=config.port,
        external_ip=config.external_ip or (LOCAL_ADDRESS if is_local(config.endpoint) else None),
    )
    axon.attach(forward_fn=answer)
    axon.start()
    neuron.subtensor.serve_axon(netuid=neuron.netuid, axon=axon)
    log.info("miner %d answers on %s:%d", uid, axon.external_ip, config.port)
    stop = until_stopped()
    stop.wait()
    axon.stop()


if __name__ == "__main__":
    main()
