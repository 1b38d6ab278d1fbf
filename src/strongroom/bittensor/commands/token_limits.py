"""Defines the options of `strongroom token create` that narrow a token of this ledger."""

from typing import Annotated, TypeVar

import typer

from strongroom.bittensor.authorization.limits import WEIGHTS, TokenLimits, encode_limits

T = TypeVar("T")


def token_limits(
    *,
    wallet: Annotated[list[str] | None, typer.Option(help="Bittensor: only this wallet; repeatable.")] = None,
    hotkey: Annotated[list[str] | None, typer.Option(help="Bittensor: only this hotkey; repeatable.")] = None,
    netuid: Annotated[list[int] | None, typer.Option(help="Bittensor: only this subnet; repeatable.")] = None,
    call: Annotated[
        list[str] | None,
        typer.Option(
            help="Bittensor: a call that may be submitted, Pallet.function; repeatable. Default: weights,"
            " all that set weights."
        ),
    ] = None,
    coldkey: Annotated[bool, typer.Option("--coldkey", help="Bittensor: the coldkey may sign.")] = False,
    most_rao: Annotated[
        int | None, typer.Option(help="Bittensor: what one call may take from the coldkey, in rao.")
    ] = None,
    destination: Annotated[
        list[str] | None, typer.Option(help="Bittensor: only this address may be paid; repeatable.")
    ] = None,
    any_text: Annotated[
        bool, typer.Option("--any-text", help="Bittensor: any printable text may be signed.")
    ] = False,
) -> str:
    """Returns the document for the token's row; it is empty if no option was given."""
    return encode_limits(
        TokenLimits(
            wallets=_some(wallet),
            hotkeys=_some(hotkey),
            netuids=_some(netuid),
            calls=_some(call) or (WEIGHTS,),
            coldkey=coldkey,
            most_rao=most_rao,
            destinations=_some(destination),
            any_text=any_text,
        )
    )


def _some(values: list[T] | None) -> tuple[T, ...] | None:
    return tuple(values) if values else None
