"""`strongroom token`: API tokens."""

import asyncio
import inspect
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from msgspec import UNSET
from rich.table import Table
from rich.text import Text

from strongroom.commands.context import Administrator, named_ledger, shown
from strongroom.commands.token_everywhere import (
    ALL,
    copy,
    create_everywhere,
    revoke_everywhere,
    rotate_everywhere,
)
from strongroom.core.clock import SystemClock
from strongroom.core.coordination.rates import parse_rate
from strongroom.core.json_decoder import decode_json
from strongroom.core.ledger.contract import AnyLedger
from strongroom.core.ledger.contract import Ledger as RunningLedger
from strongroom.core.security.access import ADMIN_SCOPES, OPERATOR
from strongroom.core.security.certificates import (
    CertificateBinding,
    CertificateUse,
    bind_certificate,
    bind_subject,
)
from strongroom.core.security.stored_tokens import NewToken, Token, TokenChange
from strongroom.core.security.tokens import Tokens
from strongroom.core.storage.database import Database
from strongroom.core.terminal import minute, print_table
from strongroom.registry import BY_NAME, LEDGERS

application = typer.Typer(help="API tokens: create, list, set, rotate, revoke.", no_args_is_help=True)

UNITS_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}
ISSUING = [ledger for ledger in LEDGERS if ledger.scopes()]
DEFAULT = ISSUING[0].name
SCOPES_HELP = "A right, repeatable: " + "; ".join(
    f"{', '.join(ledger.scopes())}, {ledger.name}:* or *"
    if ledger.name == DEFAULT
    else f"with --ledger {ledger.name} {', '.join(ledger.scopes())}, {ledger.name}:* or *"
    for ledger in ISSUING
)

NAMES = " or ".join(one.name for one in ISSUING)
Ledger = Annotated[str, typer.Option(help=f"Whose token: {NAMES}.")]
AnyLedgers = Annotated[
    str, typer.Option("--ledger", help=f"Whose token: {NAMES}; all: the same token of the admin API on each.")
]
TokenId = Annotated[str, typer.Argument(help="The id that `token list` shows.")]
Network = Annotated[
    list[str] | None,
    typer.Option(help="Use it from there alone, for example 192.0.2.0/24 or 2001:db8::/48; repeatable."),
]
Certificate = Annotated[
    Path | None, typer.Option(help="PEM file of the client certificate that it is bound to. See docs/tls.md.")
]
CertificateAuthority = Annotated[
    Path | None,
    typer.Option(
        help="PEM file of an authority: it is bound to the certificates of --certificate-subject that it issues."
    ),
]
CertificateSubject = Annotated[
    str | None, typer.Option(help="As openssl x509 -noout -subject -nameopt RFC2253 writes it.")
]
RATE_HELP = "Requests at once and on average, for example 60/min, 5/s or 1000/h."


def create(
    name: Annotated[str, typer.Argument(help="Who will use it; it appears in the audit trail.")],
    scope: Annotated[list[str], typer.Option(help=f"{SCOPES_HELP}.")],
    expires: Annotated[
        str | None,
        typer.Option("--for", "--expires", help="How long, for example 90d, 12h or 30m. Default: for ever."),
    ] = None,
    network: Network = None,
    rate: Annotated[str | None, typer.Option(help=RATE_HELP)] = None,
    certificate: Certificate = None,
    certificate_authority: CertificateAuthority = None,
    certificate_subject: CertificateSubject = None,
    require_certificate: Annotated[
        bool,
        typer.Option(
            "--require-certificate",
            help="Print a secret, too, that counts only together with the certificate.",
        ),
    ] = False,
    ledger: AnyLedgers = DEFAULT,
    **narrowed: Any,
) -> None:
    """Create a token and print it, once; one with a certificate has no secret."""
    if ledger != ALL:
        _check_scopes(ledger, scope)
    expires_at_ms = None if expires is None else _moment_ms(expires)
    limits = _limits(ledger, narrowed)
    parsed_rate = None if rate is None else parse_rate(rate)
    bound = _binding(certificate, certificate_authority, certificate_subject)
    if require_certificate and bound is None:
        raise typer.BadParameter("--require-certificate needs a certificate")
    use = CertificateUse.BESIDE if require_certificate else CertificateUse.ALONE

    async def make(running: RunningLedger, made: NewToken | None) -> NewToken:
        return await running.tokens.create(
            OPERATOR,
            name,
            scope,
            expires_at_ms,
            limits,
            networks=network or (),
            rate=parsed_rate,
            certificate=bound,
            certificate_use=use,
            made=made,
        )

    async def work() -> tuple[NewToken, str]:
        async with Administrator().prepared(named_ledger(ledger, ISSUING), makes=True) as running:
            return await make(running, None), shown(running.database)

    if ledger == ALL:
        create_everywhere(scope, make)
    else:
        _show(*asyncio.run(work()))


def _binding(
    certificate: Path | None, authority: Path | None, subject: str | None
) -> CertificateBinding | None:
    """What the options say of certificates; None: nothing."""
    if certificate is not None:
        if authority is not None or subject is not None:
            raise typer.BadParameter("give --certificate, or an authority and a subject")
        return bind_certificate(_content(certificate))
    if (authority is None) is not (subject is None):
        raise typer.BadParameter("--certificate-authority and --certificate-subject belong together")
    return None if authority is None or subject is None else bind_subject(_content(authority), subject)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{path} cannot be read: {error.strerror}") from error


def _limits(ledger: str, given: Mapping[str, Any]) -> str:
    """As the ledger stores them.

    Raises:
        BadParameter: one of the options is for the tokens of another ledger.
    """
    own = {} if ledger == ALL else _options(named_ledger(ledger, ISSUING))
    foreign = [one for one, value in given.items() if one not in own and value not in (None, False, [])]
    if foreign:
        options = ", ".join(map(_option, foreign))
        limited = ", ".join(one.name for one in ISSUING if set(foreign) & _options(one).keys())
        common = ("scopes", "--for", "--network", "--rate", "--certificate")
        theirs = " and ".join([*common, *map(_option, own)])
        raise typer.BadParameter(
            f"limits are for --ledger {limited}: {options}; tokens of {ledger} have {theirs}"
        )
    limit = None if ledger == ALL else BY_NAME[ledger].token_limits()
    return "" if limit is None else limit(**{name: given[name] for name in own})


def _option(parameter: str) -> str:
    return "--" + parameter.replace("_", "-")


def _options(ledger: AnyLedger) -> Mapping[str, inspect.Parameter]:
    """Those of `token create` that narrow a token of this ledger."""
    limit = ledger.token_limits()
    return {} if limit is None else inspect.signature(limit).parameters


def _with_limits(command: Callable[..., None]) -> Callable[..., None]:
    """The command with every ledger's options: Typer reads them from the signature."""
    signature = inspect.signature(command)
    own = [one for one in signature.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
    options = {name: option for ledger in ISSUING for name, option in _options(ledger).items()}
    parameters = [
        *own,
        *(one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in options.values()),
    ]
    changed: Any = command
    changed.__signature__ = signature.replace(parameters=parameters)
    return command


application.command()(_with_limits(create))


@application.command("list")
def list_tokens(
    ledger: Ledger = DEFAULT,
    unused: Annotated[
        str | None, typer.Option(help="Active tokens that nobody has used for so long, for example 90d.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document for each token, a line each.")
    ] = False,
) -> None:
    """List tokens, without their secrets."""
    unused_ms = None if unused is None else _duration_ms(unused, "--unused")

    async def work() -> list[Token]:
        async with _tokens(ledger) as (tokens, _):
            return await tokens.list(unused_ms=unused_ms)

    found = asyncio.run(work())
    if as_json:
        for token in found:
            typer.echo(json.dumps({**msgspec.to_builtins(token), "rate": _rate_text(token) or None}))
        return
    limited = bool(_options(named_ledger(ledger, ISSUING)))
    _print_tokens(found, limited=limited)


def _print_tokens(tokens: list[Token], *, limited: bool) -> None:
    """`limited`: tokens of this ledger may have limits of its own."""
    headings = [
        "id",
        "name",
        "scopes",
        "created",
        "expires",
        "revoked",
        "networks",
        "rate",
        "old secret until",
        "certificate",
    ]
    table = Table(*headings, "last used", *(["limits"] if limited else []))
    for token in tokens:
        moments = [minute(each) for each in (token.created_at_ms, token.expires_at_ms, token.revoked_at_ms)]
        used = " from ".join(filter(None, (minute(token.used_at_ms), token.used_from)))
        table.add_row(
            token.id,
            Text(token.name),
            "\n".join(token.scopes),
            *moments,
            "\n".join(token.networks),
            _rate_text(token),
            minute(token.earlier_secret_until_ms),
            Text(_certificate_text(token)),
            Text(used),
            *([Text(_readable(token.limits))] if limited else []),
        )
    print_table(table)


def _certificate_text(token: Token) -> str:
    if token.certificate_use is CertificateUse.BESIDE:
        return f"{token.certificate}, and the secret"
    return token.certificate


def _rate_text(token: Token) -> str:
    return "" if token.rate is None else str(token.rate)


def _readable(limits: str) -> str:
    """A line for each."""
    document: dict[str, Any] = decode_json(limits) if limits else {}
    return "\n".join(
        f"{name}: {', '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in document.items()
    )


@application.command("set")
def change(
    token_id: TokenId,
    expires: Annotated[
        str | None, typer.Option("--for", "--expires", help="How long from now, for example 90d, or never.")
    ] = None,
    network: Network = None,
    anywhere: Annotated[bool, typer.Option("--anywhere", help="Use it from every network.")] = False,
    rate: Annotated[str | None, typer.Option(help=f"{RATE_HELP} none: no rate of its own.")] = None,
    certificate: Certificate = None,
    certificate_authority: CertificateAuthority = None,
    certificate_subject: CertificateSubject = None,
    ledger: Ledger = DEFAULT,
) -> None:
    """Change until when, from where, how often and with which certificate a token may be used; networks replace the earlier ones."""
    if anywhere and network:
        raise typer.BadParameter("give --network or --anywhere, not both")
    bound = _binding(certificate, certificate_authority, certificate_subject)
    wanted = TokenChange(
        expires_at_ms=UNSET if expires is None else None if expires == "never" else _moment_ms(expires),
        networks=network or (() if anywhere else UNSET),
        rate=UNSET if rate is None else None if rate == "none" else parse_rate(rate),
        certificate=UNSET if bound is None else bound,
    )

    async def work() -> Token:
        async with _tokens(ledger) as (tokens, _):
            return await tokens.change(OPERATOR, token_id, wanted)

    token = asyncio.run(work())
    _print_tokens([token], limited=bool(token.limits))


@application.command()
def rotate(
    token_id: TokenId,
    overlap: Annotated[
        str | None,
        typer.Option(help="How long the old secret works besides, for example 24h. Default: it ends now."),
    ] = None,
    ledger: AnyLedgers = DEFAULT,
) -> None:
    """Give a token another secret and print it, once."""
    overlap_ms = 0 if overlap is None else _duration_ms(overlap, "--overlap")
    if ledger == ALL:
        rotate_everywhere(token_id, overlap_ms)
        return

    async def work() -> tuple[NewToken, str]:
        async with _tokens(ledger) as (tokens, database):
            return await tokens.rotate(OPERATOR, token_id, overlap_ms), shown(database)

    _show(*asyncio.run(work()))


@application.command()
def revoke(token_id: TokenId, ledger: AnyLedgers = DEFAULT) -> None:
    """Revoke a token and all its secrets at once."""
    if ledger == ALL:
        revoke_everywhere(token_id)
        return

    async def work() -> None:
        async with _tokens(ledger) as (tokens, _):
            await tokens.revoke(OPERATOR, token_id)

    asyncio.run(work())
    typer.echo(f"revoked {token_id}")


@application.command("copy")
def copy_token(
    token_id: TokenId,
    source: Annotated[str, typer.Option("--from", help=f"The ledger that has it: {NAMES}.")],
    ledger: AnyLedgers = ALL,
) -> None:
    """Bring a token of the admin API to the ledgers that lack it, with the same secret."""
    copy(token_id, named_ledger(source, ISSUING), ledger)


@asynccontextmanager
async def _tokens(ledger: str, *, makes: bool = False) -> AsyncIterator[tuple[Tokens, Database]]:
    definition = named_ledger(ledger, ISSUING)
    async with Administrator().prepared(definition, makes=makes) as running:
        yield running.tokens, running.database


def _check_scopes(ledger: str, scopes: list[str]) -> None:
    known = [*named_ledger(ledger, ISSUING).scopes(), *ADMIN_SCOPES]
    unknown = [one for one in scopes if one not in known and one not in {"*", f"{ledger}:*"}]
    if unknown:
        raise typer.BadParameter(
            f"unknown scope {', '.join(unknown)}; there are {', '.join(known)}, {ledger}:* and *"
        )


def _show(token: NewToken, database: str) -> None:
    if not token.secret:
        typer.echo(f"The certificate is its credential. Its id is {token.id}, in {database}.", err=True)
        return
    typer.echo(token.secret)
    typer.echo(f"Keep it: it is not shown again. Its id is {token.id}, in {database}.", err=True)


def _moment_ms(duration: str) -> int:
    return SystemClock().now_ms() + _duration_ms(duration, "--for")


def _duration_ms(text: str, option: str) -> int:
    found = re.fullmatch(r"([1-9][0-9]{0,5})([mhd])", text)
    if found is None:
        raise typer.BadParameter(f"{option} looks like 90d, 12h or 30m")
    return int(found[1]) * UNITS_MS[found[2]]
