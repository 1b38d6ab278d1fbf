"""Each alert fires when it should and not when it should not, as promtool finds, and says what to do."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from deploy.monitoring.alert_cases import CASES, Case, Series
from deploy.monitoring.rules import ROOT, promtool, rules

SEVERITIES = {"critical", "warning", "info"}
MINUTES = {"m": 1, "h": 60, "d": 1440}


def test_the_files_are_valid_as_the_page_has_them_checked() -> None:
    (block,) = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "watch.md").read_text(), re.DOTALL)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules())} rules found" in done.stdout + done.stderr


def test_the_page_lists_every_alert() -> None:
    page = (ROOT / "docs" / "watch.md").read_text()
    listed = dict(re.findall(r"^\| \[(\w+)\]\([^)]*\) \| (\w+) \|", page, re.MULTILINE))
    assert listed == {name: rule["labels"]["severity"] for name, rule in rules().items()}


def test_each_alert_says_what_to_do_and_where_to_read_on() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    sections = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", page, re.DOTALL | re.MULTILINE))
    found = rules()
    assert sections.keys() == found.keys()
    for name, rule in found.items():
        assert rule["labels"]["severity"] in SEVERITIES
        words = rule["annotations"]
        assert words.keys() == {"summary", "action", "runbook_url"}
        assert words["runbook_url"] == f"docs/troubleshooting.md#{name.lower()}"
        assert "**Do:** " in sections[name]


def test_each_alert_fires_and_does_not_fire(tmp_path: Path) -> None:
    found = rules()
    assert sorted(case.alert for case in CASES) == sorted(found)
    files = [_write(tmp_path, case, found[case.alert]) for case in CASES]
    assert promtool("test", "rules", *map(str, files)).count("SUCCESS") == len(CASES)


def _write(folder: Path, case: Case, rule: Mapping[str, Any]) -> Path:
    """A test file for one alert with that rule alone: with all rules in each, it takes a quarter of a minute."""
    rules_file, test_file = folder / f"{case.alert}.yml", folder / f"{case.alert}.test.yml"
    rules_file.write_text(yaml.safe_dump({"groups": [{"name": "one", "rules": [rule]}]}))
    tests = _tests(case, rule)
    test_file.write_text(yaml.safe_dump({"rule_files": [str(rules_file)], "tests": tests}))
    return test_file


def _tests(case: Case, rule: Mapping[str, Any]) -> list[dict[str, Any]]:
    """It fires; it does not before its time; it does not with values that are good."""
    shown = {"exp_labels": dict(case.labels) | rule["labels"], "exp_annotations": _rendered(case, rule)}
    pause_min = _minutes(rule.get("for", "0m"))
    firing: list[dict[str, Any]] = [
        {"eval_time": f"{case.at_min}m", "alertname": case.alert, "exp_alerts": [shown]}
    ]
    if pause_min:
        early = {"eval_time": f"{pause_min - 1}m", "alertname": case.alert, "exp_alerts": []}
        firing.insert(0, early)
    silent = [{"eval_time": f"{case.at_min}m", "alertname": case.alert, "exp_alerts": []}]
    return [_test(case.fires, firing), _test(case.quiet, silent)]


def _test(series: Series, expected: list[dict[str, Any]]) -> dict[str, Any]:
    given = [{"series": name, "values": values} for name, values in series.items()]
    return {"interval": "1m", "input_series": given, "alert_rule_test": expected}


def _rendered(case: Case, rule: Mapping[str, Any]) -> dict[str, str]:
    """The annotations as Prometheus shows them."""

    def value(found: re.Match[str]) -> str:
        return case.value if found[1] is None else case.labels.get(found[1], "")

    pattern = re.compile(r"\{\{ \$(?:labels\.(\w+)|value) \}\}")
    return {name: pattern.sub(value, text) for name, text in rule["annotations"].items()}


def _minutes(duration: str) -> int:
    return int(duration[:-1]) * MINUTES[duration[-1]]
