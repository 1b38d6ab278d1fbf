# Sourced by scripts/start_miner.sh and scripts/start_validator.sh: makes .venv-bittensor with the SDK in it, and says so.
# Both may be started at once: one installs, the other waits for it. What was interrupted is done again.
neuron_python=.venv-bittensor/bin/python
neuron_stamp=.venv-bittensor/.installed
is_installed() { cmp -s examples/bittensor/requirements.txt "$neuron_stamp"; }
if ! is_installed; then
  echo "installing the Bittensor SDK into .venv-bittensor, which takes a minute" >&2
  mkdir -p .venv-bittensor
  exec 9<.venv-bittensor
  flock 9
  if ! is_installed; then
    # The service's Python is new enough, if it is installed here; the system's may be older.
    if [ -n "${PYTHON:-}" ]; then base=$PYTHON
    elif [ -x .venv/bin/python ]; then base=.venv/bin/python
    else base=python3; fi
    [ -x .venv-bittensor/bin/pip ] || "$base" -m venv .venv-bittensor
    "$neuron_python" -m pip install --quiet --disable-pip-version-check -r examples/bittensor/requirements.txt
    cp examples/bittensor/requirements.txt "$neuron_stamp"
  fi
  exec 9<&-
fi
export PYTHONPATH=src
