"""An HSM in software: SoftHSM2 with a token of its own, made as docs/keys.md tells."""

import os
import shutil
import subprocess
from pathlib import Path

from support.programs import program

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
TOKEN, LABEL = "strongroom", "strongroom-kek"
PIN, OFFICER_PIN = "c4n4ry-5591", "0fficer-7720"
CONFIGURATION = """\
directories.tokendir = %s
objectstore.backend = file
log.level = ERROR
"""


class SoftHsm:
    """A token with one AES key. The library finds it with `SOFTHSM2_CONF`."""

    def __init__(self, folder: Path, *, token: str = TOKEN) -> None:
        self._tokens = folder / "tokens"
        self._tokens.mkdir(parents=True)
        self.configuration = folder / "softhsm2.conf"
        self.configuration.write_text(CONFIGURATION % self._tokens)
        self._run(
            "softhsm2-util", "--init-token", "--free", "--label", token, "--so-pin", OFFICER_PIN, "--pin", PIN
        )
        self.token = token
        self.make_key(LABEL)

    def make_key(self, label: str, *options: str, kind: str = "AES:32") -> None:
        """By default a key that the token does not give out."""
        login = ("--module", MODULE, "--token-label", self.token, "--login", "--pin", PIN)
        self._run(
            "pkcs11-tool",
            *login,
            "--keygen",
            "--key-type",
            kind,
            "--label",
            label,
            *(options or ("--sensitive",)),
        )

    def take_away(self) -> None:
        """As if it was pulled out."""
        self._tokens.rename(self._tokens.with_name("elsewhere"))
        self._tokens.mkdir()

    def bring_back(self) -> None:
        """May be called again."""
        elsewhere = self._tokens.with_name("elsewhere")
        if elsewhere.exists():
            shutil.rmtree(self._tokens)  # the library makes files also where it finds no token
            elsewhere.rename(self._tokens)

    def variables(self) -> dict[str, str]:
        """What a service needs to use the key."""
        return {
            "SOFTHSM2_CONF": str(self.configuration),
            "STRONGROOM_PKCS11_MODULE": MODULE,
            "STRONGROOM_PKCS11_PIN": PIN,
        }

    def _run(self, name: str, *arguments: str) -> None:
        environment = os.environ | {"SOFTHSM2_CONF": str(self.configuration)}
        ended = subprocess.run(
            [program(name), *arguments], env=environment, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
