"""Every listener of `strongroom serve` speaks TLS, reads changed certificates at SIGHUP, and doctor looks at the files."""

import os
import signal
import ssl
from pathlib import Path

import httpx2
import pytest
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from commands.conftest import run
from support.certificates import Authority, Certificate, client_context
from support.ports import own_ports
from support.processes import Process, strongroom

PATIENCE_S = 30.0
PATHS = {
    "atto": "/v3/api-docs",
    "bittensor": "/health",
    "hathor": "/api-docs",
    "management": "/health/liveness",
    "console": "/admin/v1/openapi.json",
}


def urls_of(process: Process) -> dict[str, str]:
    _, *pairs = process.wait_ready().split()
    return dict(pair.split("=", 1) for pair in pairs)


def status(url: str, context: ssl.SSLContext) -> int:
    with httpx2.Client(verify=context, trust_env=False, timeout=PATIENCE_S) as client:
        return client.get(url).status_code


def presented(url: str, authority: Authority) -> bytes:
    port = int(url.rpartition(":")[2])
    text = ssl.get_server_certificate(("127.0.0.1", port), ca_certs=str(authority.own.path))
    return ssl.PEM_cert_to_DER_cert(text)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


def installed(certificate: Certificate, folder: Path) -> dict[str, str]:
    """The variables of a certificate that was put where the service looks for it."""
    path, key = folder / "c.pem", folder / "c.key"
    path.write_bytes(certificate.path.read_bytes())
    key.write_bytes(certificate.key.read_bytes())
    return {"STRONGROOM_TLS_CERTIFICATE": str(path), "STRONGROOM_TLS_KEY": str(key)}


def test_every_listener_speaks_tls_and_takes_a_new_certificate(authority: Authority, tmp_path: Path) -> None:
    first, second, client = (authority.issue(name) for name in ("first", "second", "client"))
    variables = {
        "STRONGROOM_DATA": str(tmp_path / "data"),
        **own_ports(),
        **installed(first, tmp_path),
        "STRONGROOM_TLS_CLIENT_CA": str(authority.own.path),
        "STRONGROOM_TLS_CLIENT_CERTIFICATES": "required",
        "MANAGEMENT_TLS_CLIENT_CERTIFICATES": "none",
    }
    with strongroom("serve", "--sandbox", environment=variables) as process:
        urls = urls_of(process)
        own = {name: url for name, url in urls.items() if not name.startswith("sandbox")}
        assert own.keys() == {*PATHS, "hathor-ws"}
        assert all(url.startswith("https://") for url in own.values())
        assert all(url.startswith("http://") for name, url in urls.items() if name not in own)
        known, stranger = client_context(authority, client), client_context(authority)
        for name, path in PATHS.items():
            assert status(own[name] + path, known) == 200
            if name == "management":
                assert status(own[name] + path, stranger) == 200
            else:
                with pytest.raises(httpx2.TransportError):
                    status(own[name] + path, stranger)
        socket_url = own["hathor-ws"].replace("https", "wss", 1)
        with connect(socket_url, ssl=known, compression=None) as socket:
            socket.send('{"action":"ping"}')
            assert "pong" in str(socket.recv())
            with pytest.raises((OSError, WebSocketException)), connect(socket_url, ssl=stranger) as refused:
                refused.recv()

            assert presented(own["management"], authority) == first.der
            installed(second, tmp_path)
            os.kill(process.pid, signal.SIGHUP)
            process.wait_for("surface=management until=")
            assert presented(own["management"], authority) == second.der
            socket.send('{"action":"ping"}')
            assert "pong" in str(socket.recv())
        metrics = httpx2.get(own["management"] + "/prometheus", verify=known, trust_env=False).text
        assert 'strongroom_tls_certificate_expiry_timestamp_seconds{surface="hathor-ws"}' in metrics
        assert process.terminate() == 0


def test_doctor_and_serve_refuse_files_that_do_not_fit(authority: Authority, tmp_path: Path) -> None:
    good, other = authority.issue("good"), authority.issue("other")
    variables = {
        "STRONGROOM_DATA": str(tmp_path / "data"),
        "NODE_BASE_URL": "http://127.0.0.1:9",
        "NETWORK": "LOCAL",
        **own_ports(),
        "STRONGROOM_TLS_EXCEPT": "management",
    }
    fits = run("doctor", variables=variables | installed(good, tmp_path) | {"COLUMNS": "300"})
    (line,) = [line for line in fits.stdout if "atto certificate" in line]
    assert "good" in line
    assert not [line for line in fits.stdout if "management certificate" in line]
    wrong = variables | installed(good, tmp_path) | {"STRONGROOM_TLS_KEY": str(other.key), "COLUMNS": "300"}
    (line,) = [line for line in run("doctor", variables=wrong).stdout if "atto certificate" in line]
    assert "bad" in line
    refused = run("serve", "atto", variables=wrong)
    assert refused.status != 0
    assert "are no certificate and its key" in "\n".join(refused.stderr)
