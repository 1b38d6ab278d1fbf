"""Programs under test end with the tests, also when these are killed and nothing of theirs can tidy up."""

import os
import select
from pathlib import Path

from support.ports import free_port
from support.processes import Process, python

STARTED = """\
import sys
from support.processes import strongroom
variables = {"STRONGROOM_DATA": sys.argv[1], "SANDBOX_HATHOR_PORT": sys.argv[2]}
with strongroom("sandbox", "hathor", environment=variables) as process:
    process.wait_ready()
    print("program", process.pid, flush=True)
    process.wait_end(600)
"""
END_S = 60


def test_a_program_ends_when_its_tests_are_killed(tmp_path: Path) -> None:
    with python(STARTED, str(tmp_path), str(free_port())) as tests:
        program = os.pidfd_open(program_of(tests))
        tests.kill()
    ended = select.poll()
    ended.register(program, select.POLLIN)
    assert ended.poll(END_S * 1000) != []
    os.close(program)


def program_of(tests: Process) -> int:
    return int(tests.wait_for("program ", at_start=True).removeprefix("program "))
