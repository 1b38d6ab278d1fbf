"""Chains of both runtimes to call pallets on."""

import pytest

from support.bittensor.trial import Trial

SPECS = (293, 424)


@pytest.fixture(params=SPECS)
def trial(request: pytest.FixtureRequest) -> Trial:
    """A chain with subnet 2, whose validator has no permit yet."""
    return Trial(request.param)


@pytest.fixture
def powerful(trial: Trial) -> Trial:
    """The same with a permit."""
    trial.empower()
    return trial


@pytest.fixture
def old() -> Trial:
    """Runtime 293, with a permit."""
    trial = Trial(293)
    trial.empower()
    return trial


@pytest.fixture
def new() -> Trial:
    """Runtime 424, with a permit."""
    trial = Trial(424)
    trial.empower()
    return trial
