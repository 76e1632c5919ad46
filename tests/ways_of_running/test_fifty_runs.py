"""The figure: secrets found in every byte of fifty runs. Slow; ``-m slow -s`` prints it.

What is searched: all files (outputs, logs, reports, pickles, pytest's cache, the run's own files, core dumps)
and the command lines of all processes of this machine while a run goes on. What is searched for: the key, the
key of the run's local server, a session's token, and the halves of each, in the open and in base64.
"""

from __future__ import annotations

import base64
import itertools
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

import pytest
from support.deadline import eventually
from support.files import contents
from support.standin import StandIn
from support.suite import Suite, end_keepers, nothing_to_keep

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks at processes in /proc"),
]

#: In each suite: what holds the secrets, among the variables of a test that fails.
HELD = """
    from pytest_agb import AGB, CreateSessionParams
    from pytest_agb.plugin.stash import SETTINGS

    @pytest.fixture
    def held(agb, agb_session, _agb_pool, pytestconfig):
        settings = pytestconfig.stash[SETTINGS]
        with open(os.environ["KEYS"], "w") as fifo:  # in no file: whoever searches must know them
            fifo.write(settings.api_key.reveal() + "\\n")
        things = [agb, agb._transport, agb_session, agb_session.direct_link, _agb_pool, settings]
        things.append(pytestconfig)
        return things, [vars(thing) for thing in things if hasattr(thing, "__dict__")], settings._asdict()
"""

SUITES = {
    "fails": """
    def test_fails(held, agb_session):
        things, attributes, fields = held
        assert agb_session.code.run("1 / 0", "python").check() == things == attributes == fields

    def test_fails_too(held, pytestconfig):
        given = getattr(pytestconfig, "workerinput", {})
        raise RuntimeError(given, *held)

    @pytest.fixture
    def broken(held):
        yield held
        raise LookupError(held)

    def test_fails_in_its_teardown(broken): pass
    """,
    "our tracebacks": """
    def test_is_refused(held, agb, agb_session_factory):
        agb_session_factory(image="agb-typo")

    def test_is_refused_by_the_client(held, agb):
        agb.create(CreateSessionParams("agb-typo")).check()

    def test_streams(held, agb_session):
        agb_session.code.run("print(1)", "python", on_stdout=print).check()
        raise RuntimeError(vars(agb_session))

    def test_has_no_service(held):
        AGB(held[0][5].api_key, "http://127.0.0.1:9", timeout=1).list().check()

    def test_has_no_url(held):
        AGB(held[0][5].api_key.reveal(), "not a URL")
    """,
    "pickles": """
    import copy, pickle

    def test_writes_down_what_it_can(held, agb, agb_session):
        things, attributes, fields = held
        error = agb.create(CreateSessionParams("agb-typo")).error
        for number, thing in enumerate([*things, *attributes, fields, error, agb_session.info(), agb.list()]):
            for way in (pickle.dumps, lambda it: repr(copy.deepcopy(it)).encode()):
                try:
                    (SEEN / f"{os.getpid()}-{number}-{way.__name__}").write_bytes(way(thing))
                except Exception as refusal:
                    print(number, refusal)
        assert not held
    """,
    "crashes": """
    def test_kills_what_looks_after_its_sessions(held):
        place = pathlib.Path(os.environ["TMPDIR"])
        for process in place.glob("pytest-agb-*/run-*/members/keeper-*"):
            pid = int(process.name.split("-")[1])
            os.kill(pid, signal.SIGSEGV)
            while pathlib.Path("/proc", str(pid), "exe").exists():
                time.sleep(0.01)
        for core in place.glob("pytest-agb-*/run-*/core*"):  # the directory goes with the run
            os.link(core, SEEN / core.name)
        assert not held

    def test_goes_on(held):
        assert not held

    def test_dies(held):
        os._exit(3)
    """,
    "is cut off": """
    def test_fails(held):
        assert not held

    def test_interrupts(held):
        raise KeyboardInterrupt(held)
    """,
}

FLAGS = (
    ("--showlocals", "-vv", "--tb=long"),
    ("--debug", "--junitxml=report.xml", "--log-level=DEBUG", "-rA", "-o", "junit_logging=all"),
    ("-s", "--setup-show", "--full-trace", "--showlocals"),
    ("--log-cli-level=DEBUG", "--log-file=log.txt", "--log-file-level=DEBUG", "-vv", "--showlocals"),
    ("--agb-backend=local", "--agb-local-isolation=any", "--showlocals", "-vv", "--log-level=DEBUG"),
)


def forms(secret: str) -> Iterator[bytes]:
    """What would give it away."""
    half = len(secret) // 2
    for text in (secret, secret[:half], secret[half:]):
        yield text.encode()
    yield base64.b64encode(secret.encode()).rstrip(b"=")


class Search:
    """Where secrets were found, and in how much."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.files = self.bytes = 0

    def look(self, where: str, content: bytes, secrets: set[str]) -> None:
        self.files += 1
        self.bytes += len(content)
        for secret in secrets:
            if any(form in content for form in forms(secret)):
                self.found.append(where)


def test_no_secret_is_found_in_any_byte_of_fifty_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search, cores = Search(), 0
    runs = list(itertools.product(SUITES, FLAGS, [(), ("-n2",)]))
    for number, (name, flags, workers) in enumerate(runs):
        place = tmp_path / f"run-{number}"
        cores += _run(search, place, SUITES[name], (*flags, *workers), wrong_key=number % 10 == 6)

    figure = (
        f"secrets found in {len(runs)} runs: {len(search.found)} ({search.files} files and process lists, "
    )
    with capsys.disabled():
        print(f"\n{figure}{search.bytes:,} bytes, {cores} core dumps)")
    assert len(runs) == 50
    assert search.bytes > 50 * 10_000
    assert search.found == []


def _run(search: Search, place: Path, source: str, arguments: tuple[str, ...], *, wrong_key: bool) -> int:
    """Make one run and search what is left of it; return how many core dumps there were."""
    for directory in (place, place / "suite", place / "tmp"):
        directory.mkdir()
    fifo = place / "keys"
    os.mkfifo(fifo)
    with StandIn() as service:
        # Of this run alone: command lines of all processes are searched, those of other tests too.
        key, token = f"ako-{token_hex(12)}", f"token-{token_hex(12)}"
        if not wrong_key:
            service.add_account(key)
        service.stream = {"wsUrl": "ws://127.0.0.1:9/path", "token": token}
        secrets = {key, token}
        suite = Suite(place / "suite", service)
        suite.write(HELD + source)
        with fifo.open("r+b", buffering=0) as keys:  # open at both ends: it never blocks who writes, nor ends
            os.set_blocking(keys.fileno(), False)
            with suite.start(
                *arguments,
                prefix=("sh", "-c", 'ulimit -c unlimited; exec "$@"', "sh"),
                environment={
                    "AGB_API_KEY": key,
                    "AGB_ENDPOINT": service.endpoint,
                    "TMPDIR": str(place / "tmp"),
                    "KEYS": str(fifo),
                },
            ) as process:
                meanwhile = _seen_during(process, place / "tmp")
            held = set((keys.read() or b"").decode().split())
            assert wrong_key or held, "the tests had no session"
        eventually(lambda: nothing_to_keep(place / "tmp"), "the sessions are gone", seconds=30)
        end_keepers(place / "tmp")
    assert "test_suite.py" in suite.output
    secrets |= held
    for where, content in meanwhile:
        search.look(f"{place.name}: {where}", content, secrets)
    paths = [path for path in place.rglob("*") if path.is_file()]
    for path in paths:
        search.look(f"{path.relative_to(place.parent)} {' '.join(arguments)}", path.read_bytes(), secrets)
    return sum(path.name.startswith("core") for path in paths)


def _seen_during(process: subprocess.Popen[bytes], directory: Path) -> set[tuple[str, bytes]]:
    """The command lines of all processes, and what is in ``directory``, now and then until it ends."""
    seen: set[tuple[str, bytes]] = set()
    for _ in range(1200):
        lines = contents(*Path("/proc").glob("[0-9]*/cmdline")).values()
        seen.update(("a command line", line) for line in lines)
        seen.update((path.name, content) for path, content in contents(*_files(directory)).items())
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
            return seen
    process.kill()
    raise AssertionError("the run does not end")


def _files(directory: Path) -> list[Path]:
    with suppress(FileNotFoundError):  # a directory goes meanwhile
        return list(directory.rglob("*"))
    return []
