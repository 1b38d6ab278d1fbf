"""What the routes about wallets answer."""

from strongroom.admin.api.wire import Answer, AwayView


class FactView(Answer):
    """What only this ledger says of a thing, for people."""

    name: str
    value: str


class BalanceView(Answer):
    """How much there is of one asset, in its smallest unit."""

    asset: str
    """Empty: the ledger's own coin."""
    unit: str
    """What people call it. Of a token, whoever made it chose this."""
    decimals: int
    available_raw: str
    locked_raw: str
    """Cannot be spent yet."""
    locked_until: str | None
    incoming_raw: str | None
    """Sent to it, and not taken yet; null: it is not told here."""


class WalletView(Answer):
    ledger: str
    id: str
    title: str | None
    keys: str
    """`held`: this service signs; `locked`: once the owner unlocks it; `watched`: the owner signs."""
    accounts: int
    """How many accounts, addresses or keys it has."""
    more_accounts: bool
    """It has more than were counted."""
    created_at: str | None
    balances: list[BalanceView] | None
    """Null: this service does not know them, or the list does not add up so many accounts; then ask for the wallet."""
    more_balances: bool
    facts: list[FactView]


class WalletPage(Answer):
    wallets: list[WalletView]
    cursor: str | None
    """Null: nothing follows. While a part of a name is searched, a page may be short, or empty, and not the last one."""
    away: list[AwayView]
    """Ledgers that could not be asked."""


class AccountView(Answer):
    id: str
    kind: str
    """In the ledger's word: account, address, coldkey, hotkey."""
    index: int | None
    label: str | None
    balances: list[BalanceView] | None
    """Null: this service does not know them."""
    more_balances: bool
    waits_for: str | None
    facts: list[FactView]


class AccountPage(Answer):
    accounts: list[AccountView]
    cursor: str | None


class EventView(Answer):
    at: str
    kind: str
    amount_raw: str | None
    """What it changed: less than zero where it took away. Null: nothing says how much."""
    asset: str
    unit: str
    decimals: int
    account: str | None
    counterparty: str | None
    """Who paid, or got it."""
    id: str
    """As the network's people write it."""
    state: str
    facts: list[FactView]


class HistoryPage(Answer):
    history: list[EventView]
    cursor: str | None
