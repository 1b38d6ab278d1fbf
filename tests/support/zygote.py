"""A process that has imported the service and forks off each program under test: none pays a second of imports again.

What is forked is a process of its own, with its own environment, folder and streams; it runs `strongroom.__main__` as the installed
command does, and ends as the interpreter ends. A keeper stands between: it waits for the program, and reports its process id and its
exit status. Once nobody reads its reports, the tests have ended, and it kills a program that they left.
"""

import contextlib
import gc
import json
import os
import select
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from support.dying_steps import arm

MAX_REQUEST = 1 << 17
PRELOADED = (
    "strongroom.cli",
    "strongroom.server",
    "strongroom.atto.ledger",
    "strongroom.hathor.ledger",
    "strongroom.bittensor.ledger",
    "strongroom_sandbox.definition",
    "pydantic",
    "typer.rich_utils",
)


def fork_programs(channel: socket.socket) -> Callable[[], None] | None:
    """Forks a program for each request. It returns in the programs, with what they run, and when nobody asks any more."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(channel, MAX_REQUEST, 3)
        if not message:
            return None
        if os.fork() == 0:
            channel.close()
            return _keep(json.loads(message), *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _keep(request: dict[str, Any], out: int, err: int, report: int) -> Callable[[], None]:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    program = os.fork()
    if program == 0:
        os.close(report)
        return _become(request, out, err)
    for descriptor in (0, 1, 2, out, err):
        os.close(descriptor)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program
    _tell(report, program)
    _wait(program, report)
    _, status = os.waitpid(program, 0)
    _tell(report, os.waitstatus_to_exitcode(status))
    os._exit(0)


def _tell(report: int, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(report, struct.pack("i", number))


def _wait(program: int, report: int) -> None:
    """Until the program has ended: by itself, or killed here because the tests have."""
    ended = os.pidfd_open(program)
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    poll.register(report, 0)  # a pipe without a reader is an error, which need not be asked for
    if any(descriptor == report for descriptor, _ in poll.poll()):
        signal.pidfd_send_signal(ended, signal.SIGKILL)


def _become(request: dict[str, Any], out: int, err: int) -> Callable[[], None]:
    for descriptor, stream in ((out, 1), (err, 2)):
        os.dup2(descriptor, stream)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(request["environment"])
    arm(os.environ)
    time.tzset()
    os.chdir(request["folder"])
    sys.argv[:] = request["arguments"]
    return import_module("strongroom.__main__").main  # type: ignore[no-any-return]


def main() -> None:
    gc.disable()
    for name in PRELOADED:
        import_module(name)
    lazy = import_module("strongroom.commands.lazy")
    for place, _ in lazy.OF_SERVICE.values():
        import_module(f"{lazy.__package__}.{place.split(':')[0]}")
    gc.freeze()
    gc.enable()
    assert threading.active_count() == 1  # a fork has the thread that forks alone
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the keepers
    run = fork_programs(socket.socket(fileno=int(sys.argv[1])))
    if run is not None:
        run()


if __name__ == "__main__":
    main()
