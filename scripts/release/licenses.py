"""Writes the licence of each requirement, as an SPDX expression, from what the installed packages say of themselves.

python scripts/release/licenses.py > requirements/licenses.txt, in the environment of requirements/dev.txt
"""

import importlib.metadata
import sys
from collections.abc import Iterator

from sbom import REQUIREMENTS, pinned

HEAD = """# The licence of each package that the image may hold, as SPDX expressions. scripts/lock writes this file from what the
# packages say of themselves.
"""
SAID = {
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "ISC License": "ISC",
    "MIT License": "MIT",
    "MIT": "MIT",
    "Python Software Foundation License": "PSF-2.0",
}
"""Older words for a licence, with the SPDX identifier."""
KNOWN = {
    "jinja2": "BSD-3-Clause",  # its metadata say "BSD License" alone
    "protobuf": "BSD-3-Clause",  # "3-Clause BSD License"
    "python-dateutil": "Apache-2.0 OR BSD-3-Clause",  # "Dual License"
    "uvloop": "MIT OR Apache-2.0",  # LICENSE-MIT and LICENSE-APACHE
}
IDENTIFIERS = {
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "MIT OR Apache-2.0",
    "MPL-2.0",
    "PSF-2.0",
}


def licence(name: str) -> str:
    """Raises: SystemExit: nobody can tell from the package's metadata."""
    said = importlib.metadata.distribution(name).metadata.json
    if known := KNOWN.get(name):
        return known
    if expression := said.get("license_expression"):
        return str(expression)
    classifiers = [
        one.rpartition(" :: ")[2] for one in said.get("classifier", ()) if one.startswith("License ::")
    ]
    for words in (str(said.get("license", "")).partition("\n")[0].strip(), *classifiers):
        if (found := SAID.get(words, words)) in IDENTIFIERS:
            return found
    sys.exit(f"{name} does not say its licence in words that are known: name it in KNOWN")


def lines() -> Iterator[str]:
    names = {
        one.name
        for file in ("runtime.txt", "key-backends.txt", "traces.txt")
        for one in pinned((REQUIREMENTS / file).read_text())
    }
    for name in sorted(names):
        yield f"{name} {licence(name)}\n"


if __name__ == "__main__":
    sys.stdout.write(HEAD)
    sys.stdout.writelines(lines())
