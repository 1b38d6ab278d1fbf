"""The tokens with which wallets were joined. A connection ends when one of its tokens does."""

from collections.abc import Iterable
from dataclasses import dataclass

from strongroom.hathor.api.live.subscriptions import Connection
from strongroom.hathor.wallets.access import WalletReader
from strongroom.hathor.wallets.jwt import Principal, Tokens

CHECK_S = 1.0
ENDED = 1008
ENDED_REASON = "the token has ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """What a token gives its holder, and until when."""

    principal: Principal
    ends_at_s: int


class SocketRights:
    """Checks the tokens of connections when a wallet is joined, and every second while it is."""

    def __init__(self, reader: WalletReader, tokens: Tokens) -> None:
        self._reader = reader
        self._tokens = tokens
        self._held: dict[Connection, dict[str, Right]] = {}

    async def check(self, token: str) -> Right:
        """Returns what the token gives its holder now.

        Raises:
            Unauthenticated, Forbidden, WalletNotFound, TokenOutdated: the token is not or no longer valid.
        """
        principal = self._tokens.verify(token)
        await self._reader.wallet(principal)
        return Right(principal=principal, ends_at_s=self._tokens.ends_at_s(token))

    def hold(self, connection: Connection, right: Right) -> None:
        """Notes that a wallet was joined. Whoever joins it again with a later token stays as long as that one."""
        self._held.setdefault(connection, {})[right.principal.wallet_id] = right

    def forget(self, connection: Connection) -> None:
        self._held.pop(connection, None)

    async def end_outdated(self) -> None:
        """Ends the connections of tokens that have run out, or whose wallet has another authentication key.

        Raises:
            Unavailable: the database does not answer; those whose time is over have been ended before.
        """
        now_s = self._reader.now_s
        self._end(right for right in self._rights() if right.ends_at_s <= now_s)
        principals = {right.principal for right in self._rights()}
        outdated = await self._reader.outdated(principals)
        self._end(right for right in self._rights() if right.principal in outdated)

    def _rights(self) -> list[Right]:
        return [right for held in self._held.values() for right in held.values()]

    def _end(self, rights: Iterable[Right]) -> None:
        ended = set(rights)
        if not ended:
            return
        for connection, held in list(self._held.items()):
            if not ended.isdisjoint(held.values()):
                self.forget(connection)
                connection.end(ENDED, ENDED_REASON)
