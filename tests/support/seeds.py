"""Seeds of randomised tests: a new one each run, printed, and pinned with STRONGROOM_TEST_SEED."""

import os
import random
import secrets

VARIABLE = "STRONGROOM_TEST_SEED"


def seeded(name: str) -> random.Random:
    """Randomness for one test. pytest shows the seed when the test fails."""
    seed = int(os.environ.get(VARIABLE) or secrets.randbelow(2**32))
    print(f"{name}: {VARIABLE}={seed}")  # noqa: T201 - needed to repeat the run
    return random.Random(f"{name}:{seed}")
