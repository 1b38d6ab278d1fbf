"""What the client can tell about a request that got no answer, over real sockets."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from strongroom.bittensor.client.transport import NoAnswer, NotDelivered, Transport


@contextmanager
def served(answer: bytes | None) -> Iterator[tuple[str, list[bytes]]]:
    """A server that reads one request and answers so; None: it reads and hangs up."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                heard.append(connection.recv(65536))
                if answer is not None:
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", heard
        thread.join()


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(NotDelivered):
        Transport(f"http://127.0.0.1:{port}", "t").ask("POST", "/", {}, timeout_s=5)


def test_no_such_name() -> None:
    with pytest.raises(NotDelivered):
        Transport("http://nobody.invalid:1", "t").ask("POST", "/", {}, timeout_s=5)


def test_a_peer_that_speaks_no_tls() -> None:
    with served(b"HTTP/1.1 400 Bad Request\r\n\r\n") as (url, _), pytest.raises(NotDelivered):
        Transport(url.replace("http:", "https:"), "t").ask("POST", "/", {}, timeout_s=5)


def test_a_connection_that_ends_after_the_request() -> None:
    with served(None) as (url, heard), pytest.raises(NoAnswer):
        Transport(url, "t").ask("POST", "/wallet/set_weights", {"a": 1}, timeout_s=5)
    assert heard


def test_an_answer_cut_short() -> None:
    with (
        served(b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"success"') as (url, _),
        pytest.raises(NoAnswer),
    ):
        Transport(url, "t").ask("GET", "/", timeout_s=5)


@contextmanager
def pouring(piece: bytes) -> Iterator[str]:
    """A server that sends `piece` again and again after the head of an answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                while True:
                    connection.sendall(piece)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


@pytest.mark.parametrize(("piece", "timeout_s"), [(b"x" * 65536, 60), (b" ", 0.2)])
def test_an_answer_without_end(piece: bytes, timeout_s: float) -> None:
    with pouring(piece) as url, pytest.raises(NoAnswer):
        Transport(url, "t").ask("GET", "/", timeout_s=timeout_s)


def test_the_token_goes_into_the_header_and_the_prefix_into_the_path() -> None:
    with served(b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"ok": true}') as (url, heard):
        answer = Transport(url + "/keys/", "a-token").ask("GET", "/health", timeout_s=5)
    assert (answer.status, answer.document) == (200, {"ok": True})
    assert heard[0].startswith(b"GET /keys/health HTTP/1.1\r\n")
    assert b"Authorization: Bearer a-token\r\n" in heard[0]


@pytest.mark.parametrize("body", [b"<html>gateway</html>", b"[]", b""])
def test_a_body_that_is_no_object_is_empty(body: bytes) -> None:
    head = f"HTTP/1.1 502 Bad Gateway\r\nContent-Length: {len(body)}\r\nRetry-After: 7\r\n\r\n".encode()
    with served(head + body) as (url, _):
        answer = Transport(url, "t").ask("GET", "/", timeout_s=5)
    assert (answer.status, answer.document, answer.retry_after_s) == (502, {}, 7.0)


@pytest.mark.parametrize("text", [b"\xb2", b"-1", b"1e9", b"9" * 400, b"Mon, 30 Nov 2026 03:00:00 GMT"])
def test_a_time_to_wait_that_is_none(text: bytes) -> None:
    """Superscript two is a digit to Python, and no number."""
    with served(b"HTTP/1.1 503 Away\r\nContent-Length: 2\r\nRetry-After: %s\r\n\r\n{}" % text) as (url, _):
        answer = Transport(url, "t").ask("GET", "/", timeout_s=5)
    assert (answer.status, answer.retry_after_s) == (503, None)


@pytest.mark.parametrize("url", ["ftp://host", "http://", "https:///path"])
def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(ValueError, match="wallet service's URL"):
        Transport(url, "t")


def test_the_url_that_is_shown_holds_no_password() -> None:
    assert Transport("https://user:secret@host:9/p/", "t").url == "https://host:9/p"


@pytest.mark.parametrize("token", ["secret\n", "secret\r\nX: y", "sécret", "se\u4e16cret", "", "two words"])
def test_a_token_that_no_header_can_carry_is_refused_and_not_repeated(token: str) -> None:
    with pytest.raises(ValueError, match="token") as refused:
        Transport("http://127.0.0.1:1", token)
    assert "cret" not in str(refused.value)
    assert refused.value.__context__ is None
