"""Sandboxes are isolated in the best way there is; where there is none, the refusal says what lifts it."""

from __future__ import annotations

import errno
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.local_server import FORBIDDEN, Api, command, environment, serving, without_landlock

from pytest_agb import namespace_signs
from pytest_agb.local import syscalls
from pytest_agb.local.isolation import choose, landlock, seccomp

needs_filters = pytest.mark.skipif(not seccomp.available(), reason="no filter for this processor")


def _serve(*arguments: str, prefix: tuple[str, ...]) -> str:
    """What a server says that does not come up."""
    done = subprocess.run(
        [*prefix, *command(*arguments)], env=environment(), capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 2
    assert done.stdout == ""
    return done.stderr


@pytest.mark.needs_unshare
@pytest.mark.needs_landlock
def test_without_namespaces_auto_takes_landlock_and_says_what_it_holds() -> None:
    with serving(prefix=FORBIDDEN) as server:
        api = Api(server)
        with api.http, api.session() as sandbox:
            assert sandbox.value("6 * 7") == "42"
            for command in ("ls /root", "cat /etc/shadow"):
                assert "Permission denied" in sandbox.shell(command)["stderr"]
        server.process.terminate()
        assert server.process.stderr is not None
        said = server.process.stderr.read()
    assert "isolation: landlock. Landlock: own files only, no network" in said
    assert "but " in said
    assert "/tmp is not private, processes can be listed" in said


@needs_filters
@pytest.mark.needs_unshare
def test_with_neither_auto_refuses_with_both_causes_and_what_lifts_them() -> None:
    said = _serve(prefix=(*without_landlock(errno.EOPNOTSUPP), *FORBIDDEN))
    assert "can't be isolated on this machine: user namespaces are switched off" in said
    assert "user.max_user_namespaces is 0" in said
    assert "to isolate them:       sudo sysctl -w user.max_user_namespaces=15000" in said
    assert "Landlock is switched off (it is not in /sys/kernel/security/lsm)" in said
    assert "lsm=landlock" in said
    assert "to run without:        --isolation=any  (commands then see this machine)" in said
    assert "--agb" not in said


@needs_filters
@pytest.mark.parametrize(
    ("number", "container", "words"),
    [
        (errno.ENOSYS, False, ["this kernel has no Landlock", "Linux 5.13 or newer"]),
        (errno.EPERM, False, ["refused a step of Landlock's (landlock_create_ruleset: EPERM)"]),
        (errno.EPERM, True, ["this container forbids Landlock", "EPERM", "Docker 23", "seccomp=unconfined"]),
    ],
)
def test_a_kernel_without_landlock_is_named(number: int, container: bool, words: list[str]) -> None:
    code = f"""
from pytest_agb.local.isolation import choose as isolation
isolation._in_container = lambda: {container}
try:
    isolation.choose("landlock")
except isolation.IsolationUnavailable as error:
    print(error)
"""
    done = subprocess.run(
        [*without_landlock(number), sys.executable, "-c", code],
        env=environment(), capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    for word in words:
        assert word in done.stdout, done
    assert "namespaces" not in done.stdout


@needs_filters
@pytest.mark.needs_unshare
def test_with_neither_any_runs_and_says_that_nothing_is_isolated() -> None:
    with serving("--isolation", "any", prefix=(*without_landlock(errno.ENOSYS), *FORBIDDEN)) as server:
        api = Api(server)
        with api.http, api.session() as sandbox:
            assert sandbox.value("6 * 7") == "42"
        server.process.terminate()
        assert server.process.stderr is not None
        assert choose.NOT_ISOLATED in server.process.stderr.read()


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("user.max_user_namespaces", "0", "sudo sysctl -w user.max_user_namespaces=15000"),
        ("kernel.unprivileged_userns_clone", "0", "sudo sysctl -w kernel.unprivileged_userns_clone=1"),
        (
            "kernel.apparmor_restrict_unprivileged_userns",
            "1",
            "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
    ],
)
def test_the_setting_that_forbids_namespaces_is_named_with_the_command_that_lifts_it(
    name: str, value: str, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings of kernels that this machine has not: files in their place."""
    setting = tmp_path / "sys" / name.replace(".", "/")
    setting.parent.mkdir(parents=True)
    setting.write_text(f"{value}\n")
    monkeypatch.setattr(namespace_signs, "_PROC", tmp_path)
    monkeypatch.setattr(choose, "_probe", lambda _: (1, f"{errno.EPERM} mounts", ""))
    monkeypatch.setattr(choose, "_in_container", lambda: False)

    obstacle = choose._namespaces.__wrapped__()
    assert obstacle is not None
    assert f"{name} is {value}" in obstacle.cause
    assert obstacle.remedy == remedy
    monkeypatch.setattr(choose, "_in_container", lambda: True)
    in_container = choose._namespaces.__wrapped__()
    assert in_container is not None
    assert remedy in in_container.remedy
    # A container's own limits come first: the host's AppArmor may be a reason besides.
    assert (choose.DOCKER_OPTIONS in in_container.remedy) is name.startswith("kernel.apparmor")
    assert namespace_signs.are_doubtful()
    setting.write_text("12345\n")
    assert not namespace_signs.are_doubtful()


def test_a_containers_limits_are_named_with_the_options_that_lift_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(namespace_signs, "_PROC", tmp_path)
    monkeypatch.setattr(choose, "_probe", lambda _: (1, f"{errno.EPERM} unshare", ""))
    monkeypatch.setattr(choose, "_in_container", lambda: True)
    obstacle = choose._namespaces.__wrapped__()
    assert obstacle == (
        "this container forbids namespaces (unshare: EPERM)",
        f"start it with: {choose.DOCKER_OPTIONS}",
    )


@pytest.mark.parametrize(
    ("file", "text", "doubtful"),
    [
        ("self/status", "Name:\tpytest\nSeccomp:\t2\n", True),
        ("self/status", "Name:\tpytest\nSeccomp:\t0\n", False),
        ("self/mountinfo", "9 8 0:4 / /proc/kcore ro - tmpfs tmpfs ro\n", True),
        ("self/mountinfo", "9 8 0:4 / /proc/sys/fs/binfmt_misc rw - autofs autofs rw\n", False),
    ],
)
def test_the_signs_of_a_container_are_seen(
    file: str, text: str, doubtful: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(namespace_signs, "_PROC", tmp_path)
    (tmp_path / "self").mkdir()
    (tmp_path / file).write_text(text)
    assert namespace_signs.are_doubtful() is doubtful


def test_what_the_kernel_offers_is_used() -> None:
    """Tests of isolation are skipped where there is none; it must be the machine that has none."""
    try:
        landlock.abi()
    except syscalls.StepError:
        pass
    else:
        assert choose.obstacle_to("landlock") is None
    # What util-linux can do, we can.
    if shutil.which("unshare"):
        offered = subprocess.run(["unshare", "-Urmpfn", "--mount-proc", "true"], capture_output=True)
        assert offered.returncode or choose.obstacle_to("namespaces") is None


def test_a_refusal_names_the_ways_around_that_its_caller_has() -> None:
    """An option of the plugin's is none of `serve`'s, so neither is for local/ to know."""
    obstacles = [
        choose.Obstacle("no this", "do this"),
        choose.Obstacle("no that", "do that"),
        choose.Obstacle("no that", "do that"),
        choose.Obstacle("and no third"),
    ]
    refusal = choose.IsolationUnavailable(obstacles)
    lines = [
        "Local sandboxes can't be isolated on this machine: no this; no that; and no third.",
        "  to isolate them:       do this",
        "  or:                    do that",
    ]
    assert str(refusal).splitlines() == lines
    assert refusal.worded({"to go around": "go around"}).splitlines() == [
        *lines,
        "  to go around:          go around",
    ]


@pytest.mark.parametrize("folder", ["agent", "isolation", "launch", "limits"])
def test_no_option_of_a_caller_is_named_in_local(folder: str) -> None:
    local = Path(choose.__file__).parents[1]
    for file in (local / folder).rglob("*.py"):
        assert not re.search(r"--agb|agb_local|--(isolation|network)\b", file.read_text()), file


def test_what_is_no_choice_is_refused() -> None:
    with pytest.raises(ValueError, match="'maybe' is not one of auto, any, namespaces, landlock, none"):
        choose.choose("maybe")


def test_the_options_offer_what_there_is() -> None:
    from pytest_agb.settings import LOCAL_ISOLATIONS

    assert LOCAL_ISOLATIONS == choose.REQUESTS
