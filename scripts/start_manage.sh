#!/usr/bin/env bash
# Starts the wallet service for miners and validators, on port 8000. Its variables are in docs/bittensor.md.
# On network=local, where no chain answers, it starts a sandbox chain too, with the wallets `miner` and `validator`.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install
export network=${network:-local} chain_endpoint=${chain_endpoint:-}
[ -n "$chain_endpoint" ] || unset chain_endpoint
wallets=$HOME/.bittensor/wallets
[ -n "${BITTENSOR_WALLET_PATH:-}" ] || [ ! -d "$wallets" ] || export BITTENSOR_WALLET_PATH=$wallets
# A miner announces where it answers; that takes no money.
export WALLET_SERVICE_CALLS=${WALLET_SERVICE_CALLS:-weights,SubtensorModule.serve_axon,SubtensorModule.serve_prometheus}

exec .venv/bin/strongroom serve bittensor --or-sandbox "$@"
