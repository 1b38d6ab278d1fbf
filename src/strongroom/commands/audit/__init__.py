"""`strongroom audit`: the record of who did what, and proof that nobody changed it."""

import typer

from strongroom.commands.audit import proofs, restart, trail

application = typer.Typer(
    help="The audit trail: who did what, and proof that nobody changed it.", no_args_is_help=True
)
for command in (
    trail.show,
    trail.export,
    proofs.verify,
    proofs.checkpoint,
    proofs.checkpoints,
    proofs.prove,
    proofs.check,
    proofs.consistency,
    proofs.key,
    restart.restart,
):
    application.command()(command)
