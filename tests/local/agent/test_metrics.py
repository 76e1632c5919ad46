"""How the figures of `get_metrics` come about, on whatever a busy machine has left for a test."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_agb.local.agent import metrics
from pytest_agb.local.agent.paths import Place

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="processes are measured in /proc, which is Linux's"
)

_BURN = "import time\nwhile time.process_time() < 0.5: pass\n"


def test_a_process_counts_while_it_lives_and_when_it_has_ended() -> None:
    before = metrics._cpu_seconds()
    burn = f"{_BURN}print(flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", burn], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        living = metrics._cpu_seconds() - before
        assert living >= 0.45
        process.communicate(b"\n")
    assert metrics._cpu_seconds() - before >= living


def test_what_a_process_of_a_process_used_counts_too() -> None:
    before = metrics._cpu_seconds()
    inner = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {_BURN!r}])"
    subprocess.run([sys.executable, "-c", inner], check=True)
    assert metrics._cpu_seconds() - before >= 0.45


def test_it_is_a_share_of_all_processors(tmp_path: Path) -> None:
    place = Place(str(tmp_path), "/home/user")
    (tmp_path / "home").mkdir()
    count = len(os.sched_getaffinity(0))
    assert metrics._metrics(place, 0.5 * count)["cpu_used_pct"] == 50.0
    assert metrics._metrics(place, 2.0 * count)["cpu_used_pct"] == 100.0


def test_without_namespaces_the_disk_is_that_of_its_directory(tmp_path: Path) -> None:
    (tmp_path / "home" / "deep").mkdir(parents=True)
    (tmp_path / "home" / "deep" / "file").write_bytes(os.urandom(1 << 20))
    place = Place(str(tmp_path), "/home/user")
    used = metrics._metrics(place, 0.0)["disk_used"]
    assert isinstance(used, int)
    assert 1 << 20 <= used < 2 << 20
