"""API tokens: the use cases of people who administer them. `TokenCheck` finds the principal behind a token."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Select, update

from strongroom.core.clock import Clock, Entropy
from strongroom.core.coordination.rates import Rate
from strongroom.core.errors import Conflict, InvalidInput, NotFound
from strongroom.core.json_decoder import decode_json
from strongroom.core.security.access import ADMIN_SCOPES, Principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.certificates import CertificateBinding, CertificateUse
from strongroom.core.security.networks import parse_networks
from strongroom.core.security.rows.tokens import TOKENS, TokenRows
from strongroom.core.security.stored_tokens import (
    STORED,
    IssuedToken,
    NewToken,
    Token,
    TokenChange,
    as_token,
    bound_columns,
    columns_of,
    details_of,
    encode_makers,
    made_by,
    makers_of,
    new_token,
    same_token,
    secret_hash,
    secret_of,
)
from strongroom.core.security.trail.lanes import exclude_signatures
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database, locking
from strongroom.core.storage.errors import Duplicate

MAX_NAME = 100  # the audit trail's column must have room for it, with a prefix
REVOKE = "token.revoke"
_use = tables.token_use.c
_RELIED_ON = TOKENS.add_columns(_use.used_at_ms, _use.source.label("used_from")).outerjoin(
    tables.token_use, _use.token == tables.token.c.id
)
MAX_OVERLAP_MS = 366 * 86_400_000


class Tokens:
    """Issues, changes and revokes the API tokens of one ledger. Each change is in the audit trail.

    Every request reads its token's row, so a change counts for the next request, in every process. A change for a token that was
    revoked meanwhile raises Unauthenticated.
    """

    def __init__(
        self, database: Database, audit: Audit, clock: Clock, entropy: Entropy, *, scopes: Collection[str]
    ) -> None:
        """`scopes`: all that a token may get."""
        self._database = database
        self._audit = audit
        self._clock = clock
        self._entropy = entropy
        self._scopes = scopes
        self._rows = TokenRows(audit.key)

    async def create(
        self,
        principal: Principal,
        name: str,
        scopes: Sequence[str],
        expires_at_ms: int | None = None,
        limits: str = "",
        *,
        networks: Sequence[str] = (),
        rate: Rate | None = None,
        certificate: CertificateBinding | None = None,
        certificate_use: CertificateUse = CertificateUse.ALONE,
        made: NewToken | None = None,
    ) -> IssuedToken:
        """Creates a token. `limits` narrows the scopes: a JSON document in the ledger's own terms.

        `made` is the same token as on other ledgers; None: a new one.

        `certificate` identifies the caller instead of a secret, or `certificate_use` says that both are needed.

        Raises:
            InvalidInput: the name, the scopes or the networks are not valid.
            Conflict: a token has or had this name, and its idempotency keys and jobs still belong to the name; or it has too many
                makers.
        """
        _check_name(name)
        self._check_scopes(scopes)
        made = made or new_token(self._entropy)
        token_id, secret = made.id, secret_of(made)
        terms = columns_of(
            TokenChange(expires_at_ms=expires_at_ms, networks=parse_networks(networks), rate=rate)
        )
        row = {
            "id": token_id,
            "name": name,
            "secret_hash": secret_hash(secret),
            "scopes": msgspec.json.encode(sorted(set(scopes))).decode(),
            "created_at_ms": self._clock.now_ms(),
            "limits": limits or None,
            "makers": encode_makers(made_by(principal, name, ())),
            **terms,
        }
        granted = {"name": name, "scopes": sorted(set(scopes)), "expiresAtMs": expires_at_ms}
        granted |= {"limits": limits} if limits else {}
        granted |= {"networks": list(parse_networks(networks))} if networks else {}
        granted |= {"rate": str(rate)} if rate is not None else {}
        if certificate is not None:
            row |= {**bound_columns(certificate), "certificate_use": certificate_use.value}
            granted |= {"certificate": certificate.title, "certificateUse": certificate_use.value}

        token = await self._insert(principal, row, granted)
        has_secret = certificate is None or certificate_use is not CertificateUse.ALONE
        return IssuedToken(id=token_id, secret=made.secret if has_secret else "", token=token)

    async def _insert(self, principal: Principal, row: dict[str, Any], granted: dict[str, Any]) -> Token:
        """Raises: Conflict: there is a token with this name."""

        def work(connection: Connection) -> Token:
            self._rows.require_unrevoked(connection, principal)
            connection.execute(tables.token.insert(), row)
            sequence = self._audit.append(connection, principal, "token.create", row["id"], granted)
            self._rows.tag(connection, row["id"], sequence)
            return self._stored(connection, row["id"])

        try:
            return await self._database.write(work)
        except Duplicate:
            raise Conflict(
                f"There is already a token named {row['name']}, perhaps a revoked one. A name is used only once, because"
                " earlier requests belong to it: choose another name, or give that token a new secret with token rotate",
                code="token_exists",
            ) from None

    async def copy_from(self, principal: Principal, other: "Tokens", token_id: str) -> None:
        """Makes the same token as on another ledger, with its secret, scopes and limits.

        Raises:
            NotFound: the other ledger has no such token, or has revoked it.
            InvalidInput: it is not for the admin API alone.
            Conflict: this ledger has a token with its id or name, perhaps a revoked one.
        """
        row = await other._database.fetch_one(_of(token_id))  # noqa: SLF001 - of the same class
        if row is None or row.revoked_at_ms is not None or not other._rows.is_good(row):  # noqa: SLF001
            raise NotFound(f"No active token has the id {token_id}", code="token_not_found")
        scopes: list[str] = decode_json(row.scopes)
        if not ADMIN_SCOPES.keys() >= {*scopes}:
            raise InvalidInput(
                "Only tokens of the admin API are the same on several ledgers", code="token_not_admin"
            )

        granted = {"name": row.name, "scopes": scopes, "expiresAtMs": row.expires_at_ms, "copied": True}
        columns = {column.name for column in tables.token.c} - {"sequence", "tag"}
        copied = {name: value for name, value in row._mapping.items() if name in columns}  # noqa: SLF001 - SQLAlchemy's public name
        await self._insert(principal, copied, granted)

    async def rotate(
        self, principal: Principal, token_id: str, overlap_ms: int = 0, *, made: NewToken | None = None
    ) -> IssuedToken:
        """Gives an active token a new secret. The old one works for `overlap_ms` more; an even older one ends now.

        `made` has the same secret as on other ledgers; None: a new one.

        Raises:
            InvalidInput: the overlap is negative or longer than a year.
            NotFound: no active token has this id.
            Conflict: it has a certificate and no secret, or too many makers.
        """
        if not 0 <= overlap_ms <= MAX_OVERLAP_MS:
            raise InvalidInput("An overlap is at most 366 days", code="overlap_invalid")
        made = made or same_token(token_id, self._entropy)
        secret = secret_of(made)
        ends_at_ms = self._clock.now_ms() + overlap_ms if overlap_ms else None

        def changed(row: Row[Any]) -> dict[str, Any]:
            if row.certificate_use == CertificateUse.ALONE:
                raise Conflict(
                    "The token has a certificate and no secret: change that", code="token_certificate"
                )
            return {
                "secret_hash": secret_hash(secret),
                "earlier_hash": row.secret_hash if overlap_ms else None,
                "earlier_ends_at_ms": ends_at_ms,
                "makers": encode_makers(made_by(principal, row.name, makers_of(row))),
            }

        details = {} if ends_at_ms is None else {"earlierSecretUntilMs": ends_at_ms}
        token = await self._change(principal, token_id, "token.rotate", changed, details)
        return IssuedToken(id=made.id, secret=made.secret, token=token)

    async def change(self, principal: Principal, token_id: str, change: TokenChange) -> Token:
        """Changes where, how often and until when an active token may be used, and returns it as it is then.

        Raises:
            InvalidInput: a network is none, or nothing is to change.
            NotFound: no active token has this id.
            Conflict: it has no certificate that could be changed.
        """
        values = columns_of(change)
        if not values:
            raise InvalidInput("Say what of the token is to change", code="nothing_to_change")

        def changed(row: Row[Any]) -> dict[str, Any]:
            if "certificate" in values and row.certificate is None:
                raise Conflict("The token has a secret and no certificate", code="token_certificate")
            return values

        return await self._change(principal, token_id, "token.change", changed, details_of(change))

    async def revoke(self, principal: Principal, token_id: str) -> Token:
        """Ends an active token and all its secrets for good; raises NotFound if there is none with this id."""
        values = {"revoked_at_ms": self._clock.now_ms(), "earlier_hash": None, "earlier_ends_at_ms": None}
        return await self._change(principal, token_id, REVOKE, lambda _row: values, {})

    async def find(self, token_id: str) -> Token:
        """Raises: NotFound: no token, revoked ones included, has this id."""
        row = await self._database.fetch_one(STORED.where(tables.token.c.id == token_id))
        if row is None:
            raise NotFound(f"No token has the id {token_id}", code="token_not_found")
        return as_token(row, self._clock.now_ms())

    async def find_good(self, token_id: str) -> Token:
        """As `find`, for whoever relies on what it says. Raises: Unauthenticated: another program wrote it or changed it. Sealed."""
        row = await self._database.fetch_one(_RELIED_ON.where(tables.token.c.id == token_id))
        if row is None:
            raise NotFound(f"No token has the id {token_id}", code="token_not_found")
        self._rows.require_good(row)
        return as_token(row, self._clock.now_ms())

    async def list(self, *, unused_ms: int | None = None) -> list[Token]:
        """All tokens, the oldest first; with `unused_ms` the active ones that nobody has used for so long."""
        now_ms = self._clock.now_ms()
        rows = await self._database.fetch_all(
            STORED.order_by(tables.token.c.created_at_ms, tables.token.c.id)
        )
        found = [as_token(row, now_ms) for row in rows]
        if unused_ms is None:
            return found
        return [
            each
            for each in found
            if not each.is_revoked and (each.used_at_ms or each.created_at_ms) <= now_ms - unused_ms
        ]

    async def _change(
        self,
        principal: Principal,
        token_id: str,
        action: str,
        changed: Callable[[Row[Any]], dict[str, Any]],
        details: dict[str, Any],
    ) -> Token:
        mine = tables.token.c.id == token_id

        def work(connection: Connection) -> Token:
            self._rows.require_unrevoked(connection, principal)
            row = connection.execute(locking(_of(token_id))).first()
            if row is None or row.revoked_at_ms is not None:
                raise NotFound(f"No active token has the id {token_id}", code="token_not_found")
            if action != REVOKE:  # whatever a row is, it may end
                self._rows.require_good(row)
            connection.execute(update(tables.token).where(mine).values(changed(row)))
            exclude_signatures(connection)
            sequence = self._audit.append(connection, principal, action, token_id, details)
            self._rows.tag(connection, token_id, sequence)
            return self._stored(connection, token_id)

        return await self._database.write(work)

    def _stored(self, connection: Connection, token_id: str) -> Token:
        row = connection.execute(STORED.where(tables.token.c.id == token_id)).one()
        return as_token(row, self._clock.now_ms())

    def _check_scopes(self, scopes: Sequence[str]) -> None:
        if not scopes:
            raise InvalidInput("A token needs at least one scope")
        unknown = sorted({*scopes} - {*self._scopes})
        if unknown:
            raise InvalidInput(
                f"unknown scope {', '.join(unknown)}; there are {', '.join(self._scopes)}",
                code="scope_unknown",
            )


def _of(token_id: str) -> Select[Any]:
    return TOKENS.where(tables.token.c.id == token_id)


def _check_name(name: str) -> None:
    if not name or len(name) > MAX_NAME or not name.isprintable() or name != name.strip():
        raise InvalidInput(
            f"A token's name has 1 to {MAX_NAME} printable characters, and no space before or after them"
        )
