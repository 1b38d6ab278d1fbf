# Sourced by scripts/start_miner.sh and scripts/start_validator.sh: makes .venv-bittensor with the SDK in it, and says so.
neuron_python=.venv-bittensor/bin/python
neuron_stamp=.venv-bittensor/.installed
if ! cmp -s examples/bittensor/requirements.txt "$neuron_stamp"; then
  echo "installing the Bittensor SDK into .venv-bittensor, which takes a minute" >&2
  [ -x "$neuron_python" ] || "${PYTHON:-python3}" -m venv .venv-bittensor
  "$neuron_python" -m pip install --quiet --disable-pip-version-check -r examples/bittensor/requirements.txt
  cp examples/bittensor/requirements.txt "$neuron_stamp"
fi
export PYTHONPATH=src
