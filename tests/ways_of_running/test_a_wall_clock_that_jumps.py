"""A wall clock that is put an hour on or back in mid-run: no session is given up, nobody stands still.

All processes of the run have a clock that can be put: `time.time`, and what SQLite says of now.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from support.suite import Suite

from pytest_agb.labels import CREATED

SITE = """
import functools, sqlite3, time
from pathlib import Path

def wall(read=time.time):
    put = Path({put!r})
    return read() + (float(put.read_text()) if put.exists() else 0.0)

class Connection(sqlite3.Connection):
    def __init__(self, *args, **keywords):
        super().__init__(*args, **keywords)
        self.create_function("julianday", 1, lambda when: wall() / 86400 + 2440587.5)

time.time = wall
sqlite3.connect = functools.partial(sqlite3.connect, factory=Connection)
"""

#: The first session lives on; the keeper, which has an idle one, makes others.
SUITE = """
    def test_before(agb_session, agb_session_factory):
        agb_session_factory().get_status().check()

    def test_jumps():
        was = time.time()
        pathlib.Path({put!r}).write_text("{seconds}")
        assert abs(time.time() - was) > 3000

    def test_after(agb_session, agb_session_factory):
        agb_session.get_status().check()
        agb_session_factory().get_status().check()

    def test_later(agb_session, agb_session_factory):
        agb_session.get_status().check()
        agb_session_factory().get_status().check()
"""


@pytest.mark.parametrize("seconds", [3600, -3600])
def test_a_run_goes_on_and_labels_say_what_the_clock_says(
    suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    put = str(tmp_path / "put")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(SITE.format(put=put))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    suite.write(SUITE.format(put=put, seconds=seconds))

    output = suite.run("--agb-scope=module", "--agb-max-sessions=4")

    assert "4 passed" in output
    suite.assert_says_nothing_left()
    created = sorted(suite.created, key=lambda session: session.created_at)
    first, last = (float(session.labels[CREATED]) for session in (created[0], created[-1]))
    assert last - first == pytest.approx(seconds, abs=60)
