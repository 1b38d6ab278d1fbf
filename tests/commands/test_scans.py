import pytest

from commands.conftest import Installation


@pytest.fixture
def wallet(installation: Installation, request: pytest.FixtureRequest) -> str:
    name = str(request.node.name)
    assert installation.client.post(f"/wallets/{name}").status_code == 200
    return name


def test_a_range_is_made_and_a_recovery_counts_what_is_there(installation: Installation, wallet: str) -> None:
    made = installation.run("atto", "range", wallet, "4")
    assert (made.status, made.stdout, made.stderr) == (0, ["5 accounts"], [])

    recovered = installation.run("atto", "recover", wallet, "--gap-limit", "3")
    assert (recovered.status, recovered.stderr) == (0, [])
    assert recovered.stdout == [
        "scanned 3 indexes from 4: 2 accounts recovered, 1 there already",
    ]
    again = installation.run("atto", "recover", wallet, "--gap-limit", "3")
    assert again.stdout == ["scanned 3 indexes from 4: 0 accounts recovered, 3 there already"]


def test_a_refusal_shows_the_services_message(installation: Installation, wallet: str) -> None:
    refusals = [
        installation.run("atto", "recover", "nobody"),
        installation.run("atto", "recover", wallet, "--gap-limit", "0"),
        installation.run("atto", "range", wallet, "20000"),
    ]
    assert [(one.status, one.stderr) for one in refusals] == [
        (1, ["strongroom: Wallet with nobody not found"]),
        (1, ["strongroom: gapLimit must be greater than 0"]),
        (
            1,
            [
                (
                    "strongroom: That would touch 20001 account indexes; at most 10000 are allowed at once"
                    " (ATTO_SCAN_LIMIT)"
                )
            ],
        ),
    ]


def test_whatever_else_answers_is_not_taken_for_the_service(installation: Installation) -> None:
    management = f"http://127.0.0.1:{installation.variables['MANAGEMENT_PORT']}"
    ended = installation.run("atto", "recover", "savings", "--url", management)
    assert (ended.status, ended.stderr) == (
        1,
        [f"strongroom: {management}/wallets/savings/recoveries answered 404; is that a Strongroom service?"],
    )
