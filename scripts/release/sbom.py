"""Writes the software bill of materials of a release, CycloneDX 1.6 as JSON, to standard output.

It lists what the image holds: requirements/runtime.txt as required, and what the files in `OPTIONAL` add as optional,
each with the hashes that an install accepts and its licence from requirements/licenses.txt. It asks nobody.
"""

import argparse
import json
import re
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from packaging.markers import Marker

REQUIREMENTS = Path(__file__).parents[2] / "requirements"
OPTIONAL = ("key-backends.txt", "traces.txt")
PINNED = re.compile(
    r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(\S+)(?: ; ([^\\]+))?((?: \\\n    --hash=\S+)+)$", re.MULTILINE
)
IMAGE = {
    "implementation_name": "cpython",
    "implementation_version": "3.11.13",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_release": "",
    "platform_system": "Linux",
    "platform_version": "",
    "python_full_version": "3.11.13",
    "python_version": "3.11",
    "sys_platform": "linux",
}
"""The Python of the image; what another system needs instead is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    name: str
    version: str
    hashes: Sequence[str]

    @property
    def purl(self) -> str:
        return f"pkg:pypi/{self.name}@{self.version}"


def pinned(text: str) -> Iterator[Pinned]:
    """The requirements of a file that the image installs."""
    for name, version, marker, hashes in PINNED.findall(text):
        if not marker or Marker(marker).evaluate(IMAGE):
            yield Pinned(name=name, version=version, hashes=re.findall(r"sha256:([0-9a-f]{64})", hashes))


def read_licenses(text: str) -> Mapping[str, str]:
    lines = [line.split(" ", 1) for line in text.splitlines() if line and not line.startswith("#")]
    return {name: licence.strip() for name, licence in lines}


def _component(one: Pinned, licence: str, scope: str) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": one.purl,
        "name": one.name,
        "version": one.version,
        "scope": scope,
        "licenses": [{"expression": licence}],
        "purl": one.purl,
        "externalReferences": [
            {
                "type": "distribution",
                "url": one.purl,
                "comment": "each hash is of one file that an install accepts",
                "hashes": [{"alg": "SHA-256", "content": content} for content in one.hashes],
            }
        ],
    }


def document(version: str, time_s: int) -> dict[str, Any]:
    """Raises: KeyError: requirements/licenses.txt does not name a requirement."""
    licenses = read_licenses((REQUIREMENTS / "licenses.txt").read_text())
    required = list(pinned((REQUIREMENTS / "runtime.txt").read_text()))
    optional = (one for file in OPTIONAL for one in pinned((REQUIREMENTS / file).read_text()))
    also = {one.name: one for one in optional if one not in required}.values()
    components = [
        _component(one, licenses[one.name], scope)
        for ones, scope in ((required, "required"), (also, "optional"))
        for one in ones
    ]
    own = f"pkg:pypi/strongroom@{version}"
    seed = json.dumps([own, time_s, components], sort_keys=True)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, seed)}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": "strongroom",
                "version": version,
                "licenses": [{"expression": "Apache-2.0"}],
                "purl": own,
            },
        },
        "components": components,
        "dependencies": [{"ref": own, "dependsOn": sorted(one.purl for one in (*required, *also))}],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--version", required=True)
    parser.add_argument("--time", type=int, required=True, help="seconds since 1970")
    given = parser.parse_args()
    json.dump(document(given.version, given.time), sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
