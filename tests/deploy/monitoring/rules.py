"""The alert rules and dashboards as they are in the repository."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[3]
MONITORING: Final = ROOT / "deploy" / "monitoring"
ALERTS: Final = MONITORING / "alerts.yml"
DASHBOARDS: Final = sorted((MONITORING / "grafana").glob("*.json"))
NAME: Final = re.compile(r"\b(?:strongroom|http_server|process)_[a-z_]+\b")


def rules() -> dict[str, dict[str, Any]]:
    """By the alert's name."""
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def queries(dashboard: Path) -> list[tuple[str, str]]:
    """The panel's title and the query, of each target."""
    panels = json.loads(dashboard.read_text())["panels"]
    return [(panel["title"], target["expr"]) for panel in panels for target in panel.get("targets", ())]


def promtool(*arguments: str) -> str:
    done = subprocess.run(
        ["promtool", *arguments], check=False, capture_output=True, text=True, cwd=MONITORING
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
