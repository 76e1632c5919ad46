"""A process of which a run has one per host: started by who needs it, again if it died, not for ever."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from support.deadline import eventually

from pytest_agb.run.detach import DetachError
from pytest_agb.run.one_per_host import OnePerHost, RestartLimitError
from pytest_agb.run.restart_limit import RESTART_SECONDS

#: A process that says how it feels, is ready, and goes on until it is ended in some way.
PROCESS = """
import os, signal, sys, time
from pathlib import Path
from pytest_agb.run.one_per_host import OnePerHost

def main(payload, report):
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(60)
    print("my last words", file=sys.stderr, flush=True)
    if payload["how"] == "unready":
        sys.exit(1)
    place = OnePerHost(Path(payload["run"]), "thing")
    place.live()
    place.ready({"pid": os.getpid()})
    report({"pid": os.getpid()})
    if payload["how"] == "leaves":
        place.leave()
        return
    while True:
        time.sleep(1)
"""


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], int]:
    """See to it that there is such a process; return its ID."""
    (tmp_path / "one_thing.py").write_text(PROCESS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    place = OnePerHost(tmp_path, "thing")

    def ensure(how: str) -> int:
        return int(place.ensure("one_thing:main", lambda: {"run": str(tmp_path), "how": how})["pid"])

    return ensure


def die(place: OnePerHost, pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: place.running() is None, "it is dead")


def test_there_is_one_until_it_dies(tmp_path: Path, start: Callable[[str], int]) -> None:
    place = OnePerHost(tmp_path, "thing")
    pid = start("stays")
    assert start("stays") == pid
    die(place, pid)

    again = start("stays")

    assert again != pid
    die(place, again)


def test_what_dies_again_and_again_is_told_with_its_log_and_not_started_any_more(
    tmp_path: Path, start: Callable[[str], int]
) -> None:
    place = OnePerHost(tmp_path, "thing")
    for _ in range(4):
        assert not place.given_up()
        die(place, start("stays"))
    for _ in range(2):
        with pytest.raises(
            RestartLimitError,
            match=r"thing died 4 times within 10 minutes and is not started again\. [\s\S]*my last words",
        ):
            start("stays")
    assert place.given_up()
    assert place.log.read_text().count("my last words") == 4


def test_what_died_long_ago_does_not_count(tmp_path: Path, start: Callable[[str], int]) -> None:
    place = OnePerHost(tmp_path, "thing")
    for _ in range(4):
        die(place, start("stays"))
    restarts = tmp_path / "thing.restarts"
    (boot, first), *others = json.loads(restarts.read_text())
    restarts.write_text(json.dumps([(boot, first - RESTART_SECONDS - 1), *others]))

    assert not place.given_up()
    die(place, start("stays"))


def test_one_that_leaves_has_not_died(tmp_path: Path, start: Callable[[str], int]) -> None:
    place = OnePerHost(tmp_path, "thing")
    for _ in range(6):
        start("leaves")
        eventually(lambda: place.running() is None, "it has left")

    assert not place.given_up()


def test_one_that_does_not_even_start_is_an_error_each_time_and_may_start_the_next_time(
    tmp_path: Path, start: Callable[[str], int]
) -> None:
    for _ in range(5):
        with pytest.raises(DetachError, match=r"did not start[\s\S]*my last words"):
            start("unready")

    die(OnePerHost(tmp_path, "thing"), start("stays"))
