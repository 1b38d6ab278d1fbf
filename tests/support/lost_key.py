"""What an operator runs after the key-encryption key of a service was lost."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from support.processes import strongroom

END_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    status: int
    out: str
    err: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """At the database of a service that is stopped."""

    variables: Mapping[str, str]

    async def run(self, *arguments: str) -> Told:
        return await asyncio.to_thread(self._run, arguments)

    def _run(self, arguments: tuple[str, ...]) -> Told:
        with strongroom(*arguments, environment={"COLUMNS": "1000", **self.variables}) as process:
            status = process.wait_end(END_S)
            assert "Traceback" not in process.logs(), process.logs()
            return Told(status=status, out=" ".join(process.stdout), err=" ".join(process.stderr))

    async def begin_anew(self, ledger: str, decision: str) -> None:
        """`decision`: `abandon` or `accept`. Then the tags of rows, which are made with the lost secret too."""
        done = await self.run("keys", decision, ledger, "--all")
        assert done.status == 0, done
        assert "the trail begins anew, and earlier rows cannot be verified any more" in done.err
        assert (await self.run("rows", "list", ledger)).status == 1
        assert (await self.run("rows", "accept", ledger, "--all")).status == 0
        assert (await self.run("rows", "list", ledger)).status == 0

    async def verify(self, ledger: str) -> Told:
        return await self.run("audit", "verify", "--ledger", ledger)
