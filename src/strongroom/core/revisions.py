"""Where the migrations of a part of the service are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory


@dataclass(frozen=True, slots=True, kw_only=True)
class Revisions:
    """One component's migrations; `folder` contains the revision files."""

    component: str
    folder: Path

    @property
    def version_table(self) -> str:
        return f"strongroom_version_{self.component}"

    @property
    def script(self) -> ScriptDirectory:
        from alembic.script import ScriptDirectory  # noqa: PLC0415 - to name the migrations loads nothing

        return ScriptDirectory(str(self.folder), version_locations=[str(self.folder)])
