"""Loaded by the schemathesis command: often puts in names and addresses that exist, or it would only meet 404.

`KNOWN` in the environment is JSON, from the name of a parameter or field to values.
"""

import json
import os
import random
from typing import Any

import schemathesis

KNOWN: dict[str, list[str]] = json.loads(os.environ["KNOWN"])
SHARE = 0.6


@schemathesis.hook
def map_path_parameters(_context: object, path_parameters: Any) -> Any:
    return _known(path_parameters)


@schemathesis.hook
def map_query(_context: object, query: Any) -> Any:
    return _known(query)


@schemathesis.hook
def map_body(_context: object, body: Any) -> Any:
    return _known(body)


def _known(values: Any) -> Any:
    if not isinstance(values, dict):
        return values
    return {
        name: random.choice(KNOWN[name]) if name in KNOWN and random.random() < SHARE else value
        for name, value in values.items()
    }
