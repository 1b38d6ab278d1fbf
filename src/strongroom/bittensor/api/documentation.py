"""The OpenAPI document and its page."""

from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Tag

from strongroom.bittensor.api.described_errors import describe_errors
from strongroom.core.http.openapi import Documentation, bearer, described

DOCUMENTATION = Documentation(title="Bittensor wallet service", document="/openapi.json", page="/docs")


def openapi_config() -> OpenAPIConfig:
    return DOCUMENTATION.config(
        described(describe_errors),
        description=(
            "Keys of Bittensor wallets, and what is signed with them. Every call but those under General needs a"
            " bearer token. Amounts are rao (1 TAO = 10^9 rao)."
        ),
        tags=[
            Tag(name="General", description="Version and health."),
            Tag(name="Wallet", description="Addresses, signatures of messages, weights."),
            Tag(name="Calls", description="Other calls to the chain, each if the token allows it."),
        ],
        schemes={"token": bearer("WALLET_SERVICE_TOKEN or an issued token")},
        security=[{"token": []}],
    )
