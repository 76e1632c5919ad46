"""A walk goes through whatever a session leaves: deep, closed, or full of links."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_agb.local import tree
from pytest_agb.local.limits import usage


def test_all_that_is_below_is_found_and_no_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path)
    assert sorted(name for name, _ in tree.walk(str(tmp_path))) == ["a", "a/b", "a/b/file", "link"]


def test_what_is_not_taken_is_left_out_with_all_below_it(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "c").mkdir()
    assert [name for name, _ in tree.walk(str(tmp_path), lambda name: name != "a")] == ["c"]


def test_a_directory_that_goes_meanwhile_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    names = []
    for name, entry in tree.walk(str(tmp_path)):
        names.append(name)
        Path(entry.path).rmdir()
    assert sorted(names) == ["a", "b"]


def test_a_top_that_is_not_there_is_an_error_for_a_walk_and_nothing_for_the_usage(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone")
    with pytest.raises(FileNotFoundError):
        list(tree.walk(gone))
    assert usage.in_directory(gone) == (0, 0)


def test_usage_counts_links_and_directories_too(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_bytes(os.urandom(1 << 20))
    (tmp_path / "a" / "link").symlink_to(tmp_path)
    size, number = usage.in_directory(str(tmp_path))
    assert number == 3
    assert 1 << 20 <= size < 2 << 20


def test_directories_however_deep_are_made(tmp_path: Path) -> None:
    path = str(tmp_path) + "/d" * 1200
    tree.make_directories(path)
    tree.make_directories(path)
    assert Path(path).is_dir()
