"""What the Bittensor ledger stores."""

from sqlalchemy import BigInteger, Column, MetaData, Table

from strongroom.core.database import ascii_text, binary

metadata = MetaData()

key = Table(
    "strongroom_bittensor_key",
    metadata,
    Column("wallet", ascii_text(64), primary_key=True),
    Column("kind", ascii_text(8), primary_key=True),
    Column("name", ascii_text(64), primary_key=True),
    Column("public_key", binary(32), nullable=False),
    Column("sealed_secret", binary(92)),
    Column("created_at_ms", BigInteger, nullable=False),
)
"""`kind` is coldkey or hotkey; the name of a coldkey is empty. Without a sealed secret only the address is known."""
