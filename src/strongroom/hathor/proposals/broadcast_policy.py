"""The policy of broadcasts: rules and freezes decide whether a transaction that its wallet signed leaves the house.

The service holds no key of these wallets. What it can refuse is to broadcast, and what it refuses leaves no trace on the chain
unless the wallet takes another way.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, TypeVar

from sqlalchemy import Connection, select

from strongroom.core.guard.vocabulary import Payloads, Vocabulary
from strongroom.core.security.access import Principal
from strongroom.core.security.policy import Deferral, Granted, Payment, SignatureRequest, SigningGate
from strongroom.core.storage.database import Database
from strongroom.core.storage.statements import Statement, execute, paired, select_pairs
from strongroom.hathor import tables
from strongroom.hathor.protocol.addresses import HASH_SIZE, NETWORKS, Network
from strongroom.hathor.protocol.errors import ProtocolError
from strongroom.hathor.protocol.hashes import base58check_decode
from strongroom.hathor.protocol.headers import NanoHeader
from strongroom.hathor.protocol.scripts import Payment as PaymentScript
from strongroom.hathor.protocol.scripts import parse_script
from strongroom.hathor.protocol.transactions import Output, Transaction
from strongroom.hathor.wallets.history import OWNED

T = TypeVar("T")
SCOPE: Final = "hathor:send"
TRANSFER: Final = "TRANSFER"
TOKEN_CREATION: Final = "TOKEN_CREATION"  # noqa: S105 - a kind of transaction
NANO: Final = "NANO"
_HASH_FORM: Final = "[0-9a-f]{64}"


def _payee(text: str) -> str:
    """An address of any network, or a contract's id. Raises: ProtocolError, a ValueError: it is none."""
    if re.fullmatch(_HASH_FORM, text):
        return text
    payload = base58check_decode(text)
    versions = {version for network in NETWORKS.values() for version in (network.p2pkh, network.p2sh)}
    if len(payload) != 1 + HASH_SIZE or payload[0] not in versions:
        raise ProtocolError(f"{text} is neither an address nor a contract")
    return text


def _wallet_id(text: str) -> str:
    """Raises: ProtocolError, a ValueError: no wallet has this id."""
    if not re.fullmatch(_HASH_FORM, text):
        raise ProtocolError(f"{text} is no id of a wallet: here, wallets sign")
    return text


VOCABULARY: Final = Vocabulary(
    kinds=frozenset({TRANSFER, TOKEN_CREATION, NANO}),
    principals=("wallet:", "token:", "anonymous"),
    payloads=Payloads(hides_amounts=False, account_is_wallet=True),
    asset_form=_HASH_FORM,
    normalized_destination=_payee,
    normalized_account=_wallet_id,
)
DEPOSIT: Final = 1
"""The action of a contract call that gives to the contract."""
WITHDRAWAL: Final = 2
BACKED: Final = 100
"""So many of a token are backed by one of the native coin, which whoever melts them gets."""
_output = tables.tx_output.c
_SPENT = Statement(
    select(_output.token_id, _output.value).where(
        paired(_output.tx_id, _output.index), _output.authorities == 0
    )
)


def wallet_caller(wallet_id: str, source: str, request_id: str = "") -> Principal:
    """A wallet that has its own transaction broadcast. `source`: where its request came from; `request_id` names it."""
    return Principal(
        name=f"wallet:{wallet_id}", scopes=frozenset({SCOPE}), source=source, request_id=request_id
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastRequest(SignatureRequest):
    """A transaction of a wallet: what it pays to others, by destination."""

    paid: tuple[Payment, ...]

    @property
    def payments(self) -> Sequence[Payment]:
        return self.paid


class BroadcastPolicy:
    """Asks the policy, in the transaction that stores what will be broadcast."""

    def __init__(self, gate: SigningGate, network: Network) -> None:
        self._gate = gate
        self._network = network

    async def write(self, database: Database, work: Callable[[Connection], T]) -> T:
        """Runs a unit of work that calls `admit`, as `SigningGate.write`."""
        return await self._gate.write(database, work)

    def admit(
        self,
        connection: Connection,
        wallet_id: str,
        transaction: Transaction,
        caller: Principal,
        deferral: Deferral,
    ) -> AbstractContextManager[Granted]:
        """For the block that stores what will be broadcast. `caller`: the wallet itself, or who asks for it with an API token.

        An approval holds for exactly this transaction: its hash is that of all that its wallet signed.

        Raises:
            Forbidden: a rule or a freeze holds it back; nothing is sent.
        """
        paid = tuple(self._payments(connection, wallet_id, transaction))
        native = [payment for payment in paid if not payment.asset]
        return self._gate.admit(
            connection,
            BroadcastRequest(
                principal=caller,
                scope=SCOPE,
                account=wallet_id,
                wallet=wallet_id,
                kind=kind_of(transaction),
                payload_hash=transaction.hash,
                amount_raw=sum(payment.amount_raw for payment in native),
                destination=paid[0].destination if len(paid) == 1 else None,
                paid=paid,
                deferral=deferral,
            ),
        )

    def _payments(
        self, connection: Connection, wallet_id: str, transaction: Transaction
    ) -> Iterator[Payment]:
        """What goes to others: outputs that are not the wallet's, what a contract is given, what new tokens take."""
        addresses = [self._address(output) for output in transaction.outputs]
        paid = sorted({address for address in addresses if address is not None})
        own = {row[0] for row in execute(connection, OWNED, paid, wallet_id)} if paid else set()
        for output, address in zip(transaction.outputs, addresses, strict=True):
            if address is None or address not in own:
                # An authority is no amount; who gets one is looked at all the same.
                amount = 0 if output.is_authority else output.value
                yield Payment(
                    destination=address, amount_raw=amount, asset=_asset(transaction, output.token_index)
                )
        for call in (header for header in transaction.headers if isinstance(header, NanoHeader)):
            for action in call.actions:
                if action.kind == DEPOSIT:
                    asset = _asset(transaction, action.token_index)
                    yield Payment(destination=call.contract_id.hex(), amount_raw=action.value, asset=asset)
        if backing := _backing(connection, transaction):
            yield Payment(destination=None, amount_raw=backing)

    def _address(self, output: Output) -> str | None:
        """None: a script that names nobody."""
        script = parse_script(output.script)
        return script.address.encode(self._network) if isinstance(script, PaymentScript) else None


def _backing(connection: Connection, transaction: Transaction) -> int:
    """What the tokens that it makes take of the native coin: who gets them can melt them for it."""
    made: Counter[str] = Counter()
    for output in transaction.outputs:
        if output.token_index and not output.is_authority:
            made[_asset(transaction, output.token_index)] += output.value
    actions = (
        action
        for header in transaction.headers
        if isinstance(header, NanoHeader)
        for action in header.actions
        if action.token_index
    )
    for action in actions:
        sign = {DEPOSIT: 1, WITHDRAWAL: -1}.get(action.kind, 0)
        made[_asset(transaction, action.token_index)] += sign * action.value
    if not made:
        return 0
    outpoints = [(spent.tx_id.hex(), spent.index) for spent in transaction.inputs]
    for token_id, value in select_pairs(connection, _SPENT, outpoints):
        if token_id in made:
            made[token_id] -= int(value)
    return sum(-(-amount // BACKED) for amount in made.values() if amount > 0)


def kind_of(transaction: Transaction) -> str:
    if any(isinstance(header, NanoHeader) for header in transaction.headers):
        return NANO
    return TRANSFER if transaction.token_info is None else TOKEN_CREATION


def _asset(transaction: Transaction, token_index: int) -> str:
    """Empty for the native token; a token that the transaction creates is named by the transaction's id."""
    if token_index == 0:
        return ""
    if token_index <= len(transaction.token_ids):
        return transaction.token_ids[token_index - 1].hex()
    return transaction.id
