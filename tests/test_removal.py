"""Whatever tree a test's code has made is removed, and nothing outside of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.confined import USERS
from support.local_server import environment
from support.ordinary_user import ordinary_user

from pytest_agb.removal import remove_tree


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory in which an ordinary user, too, can make and remove."""
    directory = Path(tempfile.mkdtemp(prefix="removal-"))
    directory.chmod(0o777)
    yield directory
    assert remove_tree(directory) is None


def removing(place: Path, user: str, make: str) -> str:
    """Make a tree, ``top``, and remove it as ``user``; return what is said of what is left."""
    prefix, python = ordinary_user() if user == "ordinary" else ((), sys.executable)
    code = "import os, resource, socket; from pytest_agb.removal import remove_tree; os.mkdir('top'); "
    script = f"{code}\n{make}\nprint(remove_tree('top'), os.path.lexists('top'))"
    done = subprocess.run(
        [*prefix, python, "-c", script],
        cwd=place, env=environment(), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


TREES = {
    "read-only": "os.makedirs('top/a/b'); open('top/a/b/f', 'w'); os.chmod('top/a/b', 0o555); "
    "os.chmod('top/a', 0o555); os.chmod('top', 0o555)",
    "closed": "os.makedirs('top/a/b'); open('top/a/b/f', 'w'); os.chmod('top/a/b', 0); "
    "os.chmod('top/a', 0); os.chmod('top', 0)",
    "only-searched": "os.makedirs('top/a/b'); os.chmod('top/a', 0o100); os.chmod('top', 0o100)",
    "only-read": "os.makedirs('top/a/b'); os.chmod('top/a', 0o400); os.chmod('top', 0o400)",
    "odd-names": "[open(b'top/' + name, 'w') for name in (b'\\xff\\xfe', b'a\\nb', b'-rf', b'x' * 255)]; "
    "os.mkdir(b'top/d\\xff'); open(b'top/d\\xff/\\xff', 'w')",
    "odd-files": "os.mkfifo('top/fifo'); socket.socket(socket.AF_UNIX).bind('top/socket'); "
    "os.symlink('nowhere', 'top/link'); os.symlink('top', 'top/loop'); open('top/f', 'w').close(); "
    "os.chmod('top/f', 0)",
    # Far longer than any path may be, and with few descriptors.
    "deep": "here = os.getcwd(); os.chdir('top')\n"
    "for _ in range(5_000): os.mkdir('directory'); os.chdir('directory')\n"
    "open('f', 'w').close(); os.chdir(here); resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))",
    "closed-all-the-way": "here = os.getcwd(); os.chdir('top')\n"
    "for _ in range(1_500): os.mkdir('d'); os.chdir('d')\n"
    "for _ in range(1_500): os.chdir('..'); os.chmod('d', 0)\n"
    "os.chdir(here)",
}


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("tree", TREES)
def test_a_tree_of_any_kind_is_removed(place: Path, tree: str, user: str) -> None:
    assert removing(place, user, TREES[tree]) == "None False"


@pytest.mark.parametrize("user", USERS)
def test_what_links_lead_to_is_untouched(place: Path, user: str) -> None:
    outside = place / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    for path, mode in ((outside, 0o555), (outside / "kept", 0o444)):
        path.chmod(mode)

    make = "os.symlink('../outside', 'top/link'); os.symlink('../outside/kept', 'top/file')"

    assert removing(place, user, make) == "None False"
    assert (outside / "kept").read_text() == "kept"
    assert [path.stat().st_mode & 0o777 for path in (outside, outside / "kept")] == [0o555, 0o444]


def test_what_is_not_there_is_removed(tmp_path: Path) -> None:
    assert remove_tree(tmp_path / "missing") is None
    assert remove_tree(tmp_path / "missing" / "below") is None


def test_a_link_in_place_of_the_tree_is_left(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "link").symlink_to("outside")

    assert str(remove_tree(tmp_path / "link")) == ".: Not a directory"
    assert (tmp_path / "outside").is_dir()


@pytest.mark.skipif(os.getuid() != 0, reason="takes root to make another user's files")
def test_another_users_files_are_left_and_named_and_all_else_is_removed(place: Path) -> None:
    make = "os.makedirs('top/a/b'); open('top/a/f', 'w'); os.makedirs('top/c/d')"
    (place / "foreign").mkdir()
    (place / "foreign" / "f").write_text("root's")
    (place / "foreign").chmod(0o755)
    code = f"{make}; os.chmod('top/a/b', 0o777); print('made', flush=True); input(); "
    prefix, python = ordinary_user()
    script = f"import os; from pytest_agb.removal import remove_tree; os.mkdir('top'); {code}"
    with subprocess.Popen(
        [*prefix, python, "-c", f"{script} print(remove_tree('top'))"],
        cwd=place, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "made\n"
        (place / "foreign").rename(place / "top/a/b/foreign")
        said, _ = process.communicate("go\n", timeout=30)

    assert said == "a/b/foreign/f: Permission denied\n"
    assert sorted(str(path.relative_to(place)) for path in place.rglob("*")) == [
        "top", "top/a", "top/a/b", "top/a/b/foreign", "top/a/b/foreign/f",
    ]  # fmt: skip


def test_a_mount_is_left_with_all_that_is_in_it(place: Path) -> None:
    (place / "outside").mkdir()
    (place / "outside" / "kept").write_text("kept")
    mounts = ("unshare", "-m") if os.getuid() == 0 else ("unshare", "-Urm")
    script = (
        "mkdir -p top/a/mount && touch top/f && mount --bind outside top/a/mount && "
        f"{sys.executable} -c \"from pytest_agb.removal import remove_tree; print(remove_tree('top'))\""
    )
    done = subprocess.run(
        [*mounts, "sh", "-c", script], cwd=place, env=environment(), capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr}")
    assert done.stdout == "a/mount: Device or resource busy\n"
    assert (place / "outside" / "kept").read_text() == "kept"
    assert not (place / "top" / "f").exists()


def test_an_immutable_file_is_left_and_named(place: Path) -> None:
    (place / "top" / "a").mkdir(parents=True)
    (place / "top" / "a" / "fixed").touch()
    (place / "top" / "b").touch()
    tool = shutil.which("chattr")
    if tool is None or subprocess.run([tool, "+i", place / "top/a/fixed"], capture_output=True).returncode:
        pytest.skip("no file can be made immutable here")
    try:
        assert str(remove_tree(place / "top")) == "a/fixed: Operation not permitted"
        assert not (place / "top" / "b").exists()
    finally:
        subprocess.run([tool, "-i", place / "top/a/fixed"], check=True)


def test_files_that_appear_meanwhile_are_no_trouble(tmp_path: Path) -> None:
    top = tmp_path / "top"
    made = threading.Event()

    def make() -> None:
        for number in range(300):
            folder = top / str(number % 7) / str(number)
            try:
                folder.mkdir(parents=True)
                (folder / "f").touch()
            except OSError:
                continue  # it was removed in that moment
            made.set()

    thread = threading.Thread(target=make)
    thread.start()
    made.wait(20)
    while thread.is_alive():
        remove_tree(top)
    thread.join()
    assert remove_tree(top) is None
    assert not top.exists()


def test_two_may_remove_the_same(tmp_path: Path) -> None:
    top = tmp_path / "top"
    for number in range(200):
        folder = top / str(number % 7) / str(number)
        folder.mkdir(parents=True)
        (folder / "f").touch()
    left: list[object] = []
    threads = [threading.Thread(target=lambda: left.append(remove_tree(top))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert left == [None] * 4
    assert not top.exists()
