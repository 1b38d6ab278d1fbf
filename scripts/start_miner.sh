#!/usr/bin/env bash
# Starts the example miner, which holds no private key: the wallet service signs for it. More arguments: --help.
# Variables: network, netuid, chain_endpoint, WALLET_SERVICE_URL, WALLET_SERVICE_TOKEN, wallet_name, hotkey_name.
set -euo pipefail
cd "$(dirname "$0")/.."
. examples/bittensor/install.sh
exec "$neuron_python" examples/bittensor/miner.py "$@"
