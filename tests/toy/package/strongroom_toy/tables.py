"""What the toy ledger stores, beside the tables of Strongroom's core."""

from sqlalchemy import BigInteger, Column, MetaData, Table

from strongroom.core.storage.database import ascii_text, binary

metadata = MetaData()

account = Table(
    "toy_account",
    metadata,
    Column("address", ascii_text(64), primary_key=True),
    Column("sealed_seed", binary(64)),
    # Of the next transfer.
    Column("next_number", BigInteger, nullable=False),
    # A signed transfer whose outcome is open. While it is, nothing else is signed for the account.
    Column("open_intent", binary(32)),
)

payment = Table(
    "toy_payment",
    metadata,
    Column("account", ascii_text(64), primary_key=True),
    # The client's own word for the payment: the same word is paid once.
    Column("reference", ascii_text(64), primary_key=True),
    Column("receiver", ascii_text(64), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("intent", binary(32), nullable=False),
)
