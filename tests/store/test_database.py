"""A file that can't be used is one clear error, which names it and says what to do; nothing is half done."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.local_server import environment
from support.ordinary_user import ordinary_user

from pytest_agb.client import AGBError
from pytest_agb.removal import remove_tree
from pytest_agb.store import database as database_module
from pytest_agb.store.database import Database, StateError, lay_schema


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that an ordinary user reaches, too."""
    directory = Path(tempfile.mkdtemp(prefix="database-"))
    directory.chmod(0o777)
    yield directory
    assert remove_tree(directory) is None


def in_a_process(code: str, path: Path, *prefix: str, python: str = sys.executable) -> str:
    """Run ``code``, for which ``path`` is a name as well; return what it prints."""
    script = f"""
import resource, sys
from pathlib import Path
from pytest_agb.store.database import Database, StateError
path = Path({str(path)!r})
{code}
"""
    done = subprocess.run(
        [*prefix, python, "-c", script], env=environment(), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def read(path: Path) -> None:
    with closing(Database(path)) as database:
        database.fetch("SELECT * FROM slots")


@pytest.mark.parametrize("size", [3_000, 5_000_000], ids=["at its commit", "before its commit"])
def test_a_full_disk_is_told_and_what_it_cut_off_is_undone(path: Path, size: int) -> None:
    """A small transaction reaches the disk when it is committed, a big one before."""
    said = in_a_process(
        f"""
database = Database(path)
database.write("INSERT INTO facts VALUES ('before', 'x')")
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (8192, most))  # less than the log has already
try:
    with database.transaction() as connection:
        connection.execute("INSERT INTO facts VALUES ('half', 'y')")
        connection.execute("INSERT INTO refusals VALUES ('image', 'x', ?)", ("z" * {size},))
except StateError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
database.write("INSERT INTO facts VALUES ('after', 'x')")
print(database.fetch("SELECT name FROM facts ORDER BY name"), database.fetch("SELECT * FROM refusals"))
""",
        path,
    )
    error, kept = said.splitlines()

    assert error.startswith(f"the run's state in {path} can't be used: d")
    assert error.endswith("Free space on its disk, or set TMPDIR to a directory on another one")
    assert kept == "[('after',), ('before',)] []"


def test_a_file_that_may_not_be_written_is_told(place: Path) -> None:
    path = place / "slots.sqlite3"
    lay_schema(path)
    path.chmod(0o444)
    place.chmod(0o555)
    prefix, python = ordinary_user()

    said = in_a_process(
        """
try:
    Database(path).write("INSERT INTO facts VALUES ('a', 'b')")
except StateError as error:
    print(error)
""",
        path,
        *prefix,
        python=python,
    )
    assert f"the run's state in {path} can't be used: " in said
    assert "Let this user write to it and to its directory, or set TMPDIR to another one" in said


@pytest.mark.parametrize("damage", [b"no database at all" * 1000, b"SQLite format 3\0" + b"\xff" * 20_000])
def test_a_damaged_file_is_told(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "run-00000001" / "slots.sqlite3"
    path.parent.mkdir()
    path.write_bytes(damage)

    for use in (lay_schema, read):
        with pytest.raises(AGBError) as caught:
            use(path)
        assert f"the run's state in {path} can't be used" in str(caught.value)
        assert "It is damaged: delete what is left by pytest-agb sweep --run run-00000001" in str(
            caught.value
        )


def test_a_file_that_is_damaged_while_it_is_open_is_told(path: Path, database: Database) -> None:
    database.write("INSERT INTO facts VALUES ('a', 'b')")
    for part in (path, path.with_name(f"{path.name}-wal")):
        part.write_bytes(b"\xff" * part.stat().st_size)

    with pytest.raises(StateError, match="It is damaged"):
        read(path)


def test_a_file_that_another_process_does_not_let_go_of_is_told(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "_BUSY_SECONDS", 0.1)
    with closing(sqlite3.connect(path, isolation_level=None)) as other, closing(Database(path)) as database:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StateError, match=r"locked.*End whatever else has it open, then start"):
            database.write("INSERT INTO facts VALUES ('a', 'b')")
        other.execute("ROLLBACK")

        database.write("INSERT INTO facts VALUES ('a', 'b')")


def test_what_the_tables_forbid_and_what_a_caller_raises_pass_as_they_are(database: Database) -> None:
    database.write("INSERT INTO facts VALUES ('a', 'b')")
    with pytest.raises(sqlite3.IntegrityError):
        database.write("INSERT INTO facts VALUES ('a', 'b')")

    def fail() -> None:
        with database.transaction() as connection:
            connection.execute("DELETE FROM facts")
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    assert database.fetch("SELECT * FROM facts") == [("a", "b")]
