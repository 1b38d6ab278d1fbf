import pytest

from support.js_atto import JsAtto, installed


@pytest.fixture(scope="session")
def js_atto() -> JsAtto:
    """The official JavaScript client."""
    return installed()
