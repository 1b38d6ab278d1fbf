"""`strongroom explain`: what a code means and what helps."""

from support.processes import strongroom


def test_it_says_what_a_code_means_on_each_ledger() -> None:
    with strongroom("explain", "wallet_not_found") as process:
        assert process.wait_end() == 0, process.logs()
        said = "\n".join(process.stdout)
    assert "Atto, 404 Not Found: There is no wallet of this name." in said
    assert "Bittensor, 404 Not Found:" in said


def test_a_word_that_is_no_code_is_refused() -> None:
    with strongroom("explain", "wallet_lost") as process:
        assert process.wait_end() == 2, process.logs()
        assert process.stderr == ["strongroom: wallet_lost is no error code of this service"]
