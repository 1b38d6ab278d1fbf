"""What the process says of its certificates, and when it reads their files again."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from strongroom.core.clock import SystemClock
from strongroom.core.errors import Unavailable
from strongroom.core.http.tls.certificates import LOOK_S, Certificates
from strongroom.core.http.tls.files import check_files
from strongroom.core.http.tls.settings import ClientCertificates, TlsSettings
from strongroom.core.runtime.telemetry import Health, Metrics, Status
from support.certificates import LONG_AGO, PAST, Authority, Certificate
from support.clock import START_MS, ManualClock
from support.waiting import eventually

pytestmark = pytest.mark.anyio

DAY_S = 86_400
END = "20270201000000Z"
END_MS = 1_801_440_000_000
EXPIRY = "strongroom_tls_certificate_expiry_timestamp_seconds"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


class House:
    def __init__(self, certificate: Certificate, clock: ManualClock) -> None:
        self.health, self.metrics = Health(), Metrics("test")
        settings = TlsSettings(certificate=certificate.path, key=certificate.key)
        self.certificates = Certificates({"toy": settings}, clock, self.health, self.metrics)

    @property
    def expiry(self) -> float | None:
        return self.metrics.registry.get_sample_value(EXPIRY, {"surface": "toy"})

    def said(self) -> tuple[Status, str | None]:
        part = self.health.components()["tls"]
        return part.status, part.detail


@contextmanager
def running(house: House) -> Iterator[None]:
    task = asyncio.ensure_future(house.certificates.run())
    try:
        yield
    finally:
        task.cancel()


def copied(certificate: Certificate, folder: Path) -> Certificate:
    copy = Certificate(path=folder / "c.pem", key=folder / "c.key")
    copy.path.write_bytes(certificate.path.read_bytes())
    copy.key.write_bytes(certificate.key.read_bytes())
    return copy


async def test_the_end_of_a_certificate_is_told_in_time(authority: Authority, clock: ManualClock) -> None:
    house = House(authority.issue("short", end=END), clock)
    assert house.expiry == END_MS / 1000
    assert house.said() == (Status.UP, None)
    clock.advance((END_MS - START_MS) / 1000 - 6 * DAY_S)
    assert house.said() == (Status.DEGRADED, "the certificate expires at 2027-02-01T00:00:00.000Z")
    clock.advance(6 * DAY_S)
    assert house.said() == (Status.DEGRADED, "the certificate expired at 2027-02-01T00:00:00.000Z")


@pytest.mark.parametrize("asked", [True, False])
async def test_changed_files_are_read_when_it_is_asked_for_or_after_a_while(
    authority: Authority, clock: ManualClock, tmp_path: Path, asked: bool
) -> None:
    house = House(copied(authority.issue("old", end=END), tmp_path), clock)
    with running(house):
        await clock.sleepers(1)
        copied(authority.issue("new"), tmp_path)
        if asked:
            house.certificates.refresh()
        else:
            clock.advance(LOOK_S)
        await eventually(lambda: (house.expiry or 0) > END_MS / 1000)
        (tmp_path / "c.key").write_text("none")
        house.certificates.refresh()
        await eventually(lambda: house.said()[0] is Status.DEGRADED)
        assert "are no certificate and its key" in (house.said()[1] or "")


async def test_the_doctor_looks_at_dates_and_key(
    authority: Authority, clock: ManualClock, tmp_path: Path
) -> None:
    good, old = authority.issue("good", end=END), authority.issue("old", start=LONG_AGO, end=PAST)
    settings = TlsSettings(certificate=good.path, key=good.key)
    said = f"{good.path} for localhost, 127.0.0.1, until 2027-02-01T00:00:00.000Z"
    assert await check_files(settings, clock) == said
    asking = TlsSettings(
        certificate=good.path,
        key=good.key,
        client_ca=authority.own.path,
        clients=ClientCertificates.REQUIRED,
    )
    assert await check_files(asking, clock) == f"{said}; client certificates: required, of 1 authorities"
    nothing = tmp_path / "nothing.pem"
    nothing.write_text("nothing")
    for certificate, key, words in (
        (old.path, old.key, "the certificate expired at 2021-01-01"),
        (good.path, old.key, "are no certificate and its key"),
        (nothing, good.key, "has no certificate in PEM form"),
        (tmp_path / "away.pem", good.key, "cannot be read"),
    ):
        with pytest.raises(Unavailable, match=words):
            await check_files(TlsSettings(certificate=certificate, key=key), clock)


async def test_a_key_with_a_password_asks_nobody(
    authority: Authority, clock: ManualClock, tmp_path: Path
) -> None:
    """At a start by a supervisor nobody is there to type it."""
    good = authority.issue("locked")
    locked = tmp_path / "locked.key"
    authority._openssl("ec", "-in", str(good.key), "-aes256", "-passout", "pass:secret", "-out", str(locked))
    with pytest.raises(Unavailable, match="without a password"):
        await check_files(TlsSettings(certificate=good.path, key=locked), clock)


async def test_a_list_of_revoked_certificates_that_has_ended_is_told(tmp_path: Path) -> None:
    """Without a list that is in date no client of the authority could connect, and nobody would know why."""
    own = Authority(tmp_path / "own")
    server = own.issue("server")
    revoked = own.revoked()
    settings = TlsSettings(
        certificate=server.path,
        key=server.key,
        client_ca=own.own.path,
        client_crl=revoked,
        clients=ClientCertificates.OPTIONAL,
    )
    now = SystemClock()
    assert "client certificates: optional" in await check_files(settings, now)
    with pytest.raises(Unavailable, match="the list of revoked client certificates ended at"):
        await check_files(settings, ManualClock(now.now_ms() + 31 * DAY_S * 1000))
    revoked.write_text("nothing")
    with pytest.raises(Unavailable):
        await check_files(settings, now)
