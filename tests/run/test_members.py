"""A member is alive exactly as long as its process, however that ends, and whatever it forks."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.deadline import eventually

from pytest_agb.run import members

JOINS = """
import os, sys
from pathlib import Path
from pytest_agb.run.members import Member, Role

member = Member(Path(sys.argv[1]), Role.PYTEST)
if "fork" in sys.argv and os.fork() == 0:
    sys.stdin.read()  # lives on, until the test closes the pipe
    os._exit(0)
print("joined", flush=True)
if "leave" in sys.argv:
    member.leave()
sys.stdin.read()
"""


#: Says which members another process sees alive: a look from their own process would deceive.
LOOKS = """
import sys
from pathlib import Path
from pytest_agb.run.members import is_locked

print(*sorted(path.name for path in Path(sys.argv[1]).iterdir() if is_locked(path)))
"""


def join(directory: Path, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", JOINS, str(directory), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "members"


def test_nobody_is_alive_where_nobody_joined(directory: Path) -> None:
    assert not members.any_alive(directory)


@pytest.mark.parametrize("arguments", [[], ["fork"]], ids=["plain", "forked child lives on"])
def test_alive_until_killed(directory: Path, arguments: list[str]) -> None:
    with join(directory, *arguments) as process:
        assert process.stdout
        assert process.stdout.readline() == b"joined\n"
        assert members.any_alive(directory)

        os.kill(process.pid, signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

        assert not members.any_alive(directory)
        assert list(directory.iterdir()) == []  # the file of the dead is removed


def test_not_alive_after_leaving(directory: Path) -> None:
    with join(directory, "leave") as process:
        assert process.stdout
        assert process.stdout.readline() == b"joined\n"
        eventually(lambda: not list(directory.iterdir()), "its file is removed")
        assert not members.any_alive(directory)


def test_looking_does_not_end_the_life_of_others(directory: Path) -> None:
    with join(directory) as process:
        assert process.stdout
        process.stdout.readline()

        assert [members.any_alive(directory) for _ in range(3)] == [True] * 3


@pytest.mark.skipif(os.getuid() == 0, reason="root can read everything")
def test_who_looks_around_in_the_same_process_can_not_end_the_membership(directory: Path) -> None:
    member = members.Member(directory, members.Role.PYTEST)
    for path in directory.iterdir():
        with pytest.raises(PermissionError):
            path.read_bytes()
    member.leave()


@pytest.mark.parametrize("title", ["keeper-1", "reporter-1", "keeper", "a/b", "../x", "", "x" * 300])
def test_whatever_a_worker_is_called_it_runs_tests(directory: Path, title: str) -> None:
    """``--tx popen//id=keeper-1`` is a worker like any other."""
    code = JOINS.replace("Role.PYTEST", f"Role.PYTEST, {title!r}")
    with subprocess.Popen(
        [sys.executable, "-c", code, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"joined\n"
        assert members.any_alive(directory, users_only=True)
        (name,) = [path.name for path in directory.iterdir()]
        assert members.Name.parse(name).pid == process.pid
        assert str(members.Name.parse(name)) == name


@pytest.mark.parametrize("role", ["KEEPER", "REPORTER"])
def test_who_runs_no_tests_is_alive_and_no_user(directory: Path, role: str) -> None:
    code = JOINS.replace("Role.PYTEST", f"Role.{role}")
    with subprocess.Popen(
        [sys.executable, "-c", code, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"joined\n"
        assert members.any_alive(directory)
        assert not members.any_alive(directory, users_only=True)


def test_people_read_what_a_worker_is_called(directory: Path) -> None:
    assert members.Name.new(members.Role.PYTEST, "gw-1").shown == "gw-1"
    assert members.Name.new(members.Role.PYTEST).shown == "pytest"


def seen_alive_by_others(directory: Path) -> list[str]:
    look = [sys.executable, "-c", LOOKS, str(directory)]
    return subprocess.run(look, capture_output=True, text=True, check=True).stdout.split()


def test_two_members_in_one_process_do_not_end_each_other_by_looking(directory: Path) -> None:
    one = members.Member(directory, members.Role.PYTEST)
    two = members.Member(directory, members.Role.REPORTER)
    try:
        assert members.any_alive(directory)
        assert members.any_alive(directory, but=one.name)
        assert all(map(members.is_locked, directory.iterdir()))

        assert seen_alive_by_others(directory) == sorted([one.name, two.name])
    finally:
        one.leave()
    assert members.any_alive(directory)
    assert not members.any_alive(directory, but=two.name)
    assert seen_alive_by_others(directory) == [two.name]
    two.leave()
    assert not members.any_alive(directory)


def test_a_forked_child_sees_its_parent_alive_and_dead(directory: Path) -> None:
    member = members.Member(directory, members.Role.PYTEST)
    child = os.fork()
    if not child:
        os._exit(not members.any_alive(directory))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert seen_alive_by_others(directory) == [member.name]
    member.leave()


def test_who_watches_for_long_sees_who_lives_when_the_files_are_gone(directory: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", JOINS, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"joined\n"
        others = members.Others(directory)
        (name,) = [path.name for path in directory.iterdir()]
        assert others.any()
        shutil.rmtree(directory)

        assert others.any(users_only=True)
        assert others.lives(name)
        assert not members.any_alive(directory), "who has just come can't know"
        process.communicate()

    assert not others.any()
    assert not others.lives(name)
