"""What tests put in the place of the standard library's functions keeps nobody from a session."""

from __future__ import annotations

import pytest
from support.mocks import SANDBOX, WAYS, answer_tools, joined
from support.suite import Suite

#: A fixture `patched` for each of them. Each is undone by its end.
PATCHES = """
    import contextlib
    import logging
    import warnings
    from unittest import mock

    def refuse(*arguments, **options):
        raise AssertionError("patched")

    def run_out():
        return mock.Mock(side_effect=[1.0, 2.0])

    PATCHES = {
        "subprocess.Popen": refuse, "subprocess.run": refuse, "os.fork": refuse, "os.getpid": lambda: 1,
        "os.getuid": lambda: 1, "threading.Thread.start": refuse,
        "time.sleep": refuse, "time.sleep ": lambda seconds: None,
        "time.time": run_out(), "time.monotonic": lambda: 5.0, "time.monotonic ": run_out(),
        "time.perf_counter": run_out(), "select.select": refuse,
        "builtins.open": refuse, "io.open": refuse, "builtins.print": refuse,
        "os.open": refuse, "os.close": refuse, "os.stat": refuse, "os.unlink": refuse, "os.scandir": refuse,
        "os.path.exists": lambda path: False, "os.path.exists ": lambda path: True,
        "os.path.isdir": lambda path: False, "os.getcwd": refuse, "os.environ": {}, "os.urandom": refuse,
        "pathlib.Path.exists": lambda path: False, "pathlib.Path.open": refuse, "pathlib.Path.stat": refuse,
        "pathlib.Path.read_text": refuse, "pathlib.Path.unlink": refuse, "pathlib.Path.mkdir": refuse,
        "json.loads": refuse, "json.dumps": refuse, "sqlite3.connect": refuse, "uuid.uuid4": refuse,
        "random.random": lambda: 0.0, "secrets.token_hex": refuse, "tempfile.gettempdir": refuse,
        "signal.signal": refuse, "signal.getsignal": refuse, "sys.platform": "win32", "sys.argv": [],
        "socket.gethostname": refuse, "shutil.rmtree": refuse,
    }

    @contextlib.contextmanager
    def patching(name):
        with mock.patch(name.strip(), PATCHES[name]):
            yield
"""

#: Pytest itself does not survive all of them around a test's end, so tests put an end to them before theirs.
BY_TEST = """
    @pytest.mark.parametrize("name", PATCHES)
    def test_patched(name, request, agb_session, agb_session_factory, agb):
        with patching(name):
            use_sandbox(agb_session)
            other = agb_session_factory()
            assert other.command.execute_command("echo hello").check().output == "hello\\n"
            assert agb.list().success
"""

#: These are in place while fixtures begin and end.
BY_FIXTURE = """
    HARMLESS = ["subprocess.Popen", "subprocess.run", "os.fork", "os.getpid", "time.sleep", "time.sleep ",
                "time.monotonic", "builtins.print", "os.path.exists ", "json.loads", "signal.signal"]

    @pytest.fixture(params=HARMLESS)
    def patched(request):
        with patching(request.param): yield

    @pytest.fixture(scope="module", autouse=True)
    def all_of_the_module():
        with contextlib.ExitStack() as patches:
            for name in ["subprocess.run", "time.sleep", "os.fork", "os.getuid"]:
                patches.enter_context(patching(name))
            yield

    @pytest.fixture(scope="session", autouse=True)
    def all_of_the_run():
        with patching("subprocess.Popen"), patching("os.path.exists"), patching("json.dumps"): yield

    def test_patched_first(patched, agb_session, agb_session_factory, agb):
        use_sandbox(agb_session)
        agb_session_factory()

    def test_session_first(agb_session, agb_session_factory, agb, patched):
        use_sandbox(agb_session)
        agb_session_factory()
"""

OTHER = """
    import gc
    import signal

    @pytest.fixture
    def no_logging():
        logging.disable()
        yield
        logging.disable(logging.NOTSET)

    @pytest.fixture
    def no_gc():
        gc.disable()
        yield
        gc.enable()

    @pytest.fixture
    def own_handlers():
        numbers = [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGCHLD]
        before = [signal.signal(number, signal.SIG_IGN) for number in numbers]
        yield
        for number, handler in zip(numbers, before):
            signal.signal(number, handler)

    @pytest.fixture
    def poisoned(monkeypatch):
        for name in ["HOME", "PATH", "PYTHONPATH", "PYTHONHOME", "LC_ALL", "LANG", "SSL_CERT_FILE", "NETRC"]:
            monkeypatch.setenv(name, "/nonexistent")
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"]:
            monkeypatch.setenv(name, "http://192.0.2.1:9")
        monkeypatch.delenv("NO_PROXY", raising=False)

    @pytest.fixture
    def nowhere(tmp_path, monkeypatch):
        gone = tmp_path / "gone"
        gone.mkdir()
        monkeypatch.chdir(gone)
        gone.rmdir()

    OTHERS = ["no_logging", "no_gc", "own_handlers", "poisoned", "nowhere"]

    @pytest.fixture(params=OTHERS)
    def other(request): request.getfixturevalue(request.param)

    def test_other_first(other, agb_session, agb): use_sandbox(agb_session)

    def test_other_last(agb_session, agb, other): use_sandbox(agb_session)

    def of_ours():
        return {name for name in sys.modules if name.startswith("pytest_agb")}

    @pytest.fixture(scope="session", autouse=True)
    def imported(): return of_ours()

    def test_nothing_of_ours_is_imported_as_tests_run(imported, agb_session):
        use_sandbox(agb_session)
        assert imported == of_ours()
"""


@pytest.mark.parametrize(
    "way",
    [
        "plain",
        pytest.param("plain-local", marks=pytest.mark.slow),
        pytest.param("xdist", marks=pytest.mark.slow),
        pytest.param("xdist-local", marks=pytest.mark.slow),
    ],
)
def test_sandboxes_are_reached_and_deleted(suite: Suite, way: str) -> None:
    answer_tools(suite)
    suite.write(joined(SANDBOX, PATCHES, BY_TEST, OTHER))
    suite.write(joined(SANDBOX, PATCHES, BY_FIXTURE), "test_by_fixture.py")

    # What a patch can hurt is the lease: a new session for each would only take longer.
    output = suite.run("-W", "error", "--agb-reuse=always", *WAYS[way])

    assert "79 passed in" in output, output
    suite.assert_says_nothing_left()
    if "local" not in way:
        suite.assert_nothing_left()
