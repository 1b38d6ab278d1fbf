import pytest

from strongroom.console.pages.headline import Standing, headline


@pytest.mark.parametrize(
    ("standing", "words"),
    [
        (Standing(), "Everything is running."),
        (Standing(waiting=1), "Everything is running. One request waits for approval."),
        (Standing(waiting=2, knows_health=False), "2 requests wait for approval."),
        (Standing(knows_health=False), "Nothing waits for you."),
        (Standing(away=["Atto"]), "The database of Atto does not answer."),
        (Standing(away=["Atto", "Hathor"]), "The databases of Atto and Hathor do not answer."),
        (Standing(troubled=["A", "B", "C"]), "A, B and C need attention."),
        (
            Standing(troubled=["A"], stuck=1),
            "A needs attention. One payment is open for longer than a minute.",
        ),
        (Standing(frozen=["A"], waiting=3), "3 requests wait for approval. A is frozen."),
        (Standing(stuck=4), "4 payments are open for longer than a minute."),
    ],
)
def test_the_headline_is_how_things_stand(standing: Standing, words: str) -> None:
    assert headline(standing) == words
