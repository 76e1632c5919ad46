"""The settings of a run: resolved once, in the controller, and the same in every process of the run.

Standard library only, and a named tuple rather than a data class: the plugin's start-up imports it, and a
data class takes several times as long to make.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn, SupportsIndex

from pytest_agb.secret import Secret, refuse_copies

CLOUD = "cloud"
LOCAL = "local"
#: What may be asked for; ``auto`` is settled once, by whether there is a key.
BACKENDS = ("auto", CLOUD, LOCAL)
SCOPES = ("function", "class", "module", "package", "session")
#: Whether a session that was given back is leased again.
REUSES = ("never", "reset", "always")
#: How local sandboxes may be kept apart, see `pytest_agb.local.isolation.choose`.
LOCAL_ISOLATIONS = ("auto", "any", "namespaces", "landlock", "none")
#: The network that isolated sandboxes have: one of their own with nothing in it, or this machine's.
LOCAL_NETWORKS = ("none", "host")

DEFAULT_IMAGE = "agb-code-space-1"
#: The keeper keeps what is in use alive, so that this is how long an orphan without a keeper lives.
DEFAULT_IDLE_TIMEOUT_SECONDS = 120
#: Longest time that a session created ahead waits for a test: an idle sandbox costs money.
DEFAULT_MAX_IDLE_SECONDS = 60
#: Longest time that a test waits for a session.
DEFAULT_WAIT_TIMEOUT_SECONDS = 300
#: Seconds that the end of a run waits for sessions to be seen gone; the latter where a CI run is known, whose
#: machine may go with the job.
DEFAULT_END_TIMEOUT_SECONDS = 1
CI_END_TIMEOUT_SECONDS = 30
#: Seconds that the service keeps a session at the most, where nothing else is configured
#: (docs/session/lifecycle.md of the official SDK).
MAX_LIFETIME_SECONDS = 30 * 60
DEFAULT_DOSSIER_CALLS = 20
#: Seconds by which the clocks of two machines may differ before a sweep could take a live session.
CLOCK_SKEW_SECONDS = 10 * 60


class Settings(NamedTuple):
    """What holds for a run.

    Built by `pytest_agb.plugin.options.resolve` from marker defaults, command line, ini files and
    environment; handed to xdist's workers over their own channel. Nothing else reads those sources.
    """

    #: ``cloud`` or ``local``.
    backend: str
    #: Unique to the run: a prefix and 8 random hex digits.
    run_id: str
    #: Images asked for; more than one parametrizes the tests that use a session.
    images: tuple[str, ...]
    #: The user's labels for every session.
    labels: Mapping[str, str]
    #: One of `SCOPES`, of ``agb_session`` and ``agb_session_factory``.
    scope: str
    #: Seconds without a call after which the service releases a session by itself.
    idle_timeout: int
    #: One of `LOCAL_ISOLATIONS`; of the local backend only.
    local_isolation: str
    #: Base URL of the service; of the cloud backend only.
    endpoint: str
    #: Seconds that one call may take.
    timeout_seconds: float
    #: The account's key, or the random key of the run's local server; never in a file or a `repr`.
    api_key: Secret | None
    #: Names the CI run that this run is a part of, the same in all its jobs; ``None`` outside CI.
    ci_run: str | None = None
    #: Processes of the run that run tests on this host.
    workers: int = 1
    #: Sessions that the run may have at once on this host; ``None`` where nobody said.
    max_sessions: int | None = None
    #: One of `REUSES`.
    reuse: str = "never"
    #: Leases of one session at the most; ``None`` for any number.
    max_uses: int | None = None
    #: Seconds that a session may wait for somebody to lease it.
    max_idle: float = DEFAULT_MAX_IDLE_SECONDS
    #: Seconds that a test may wait for a session.
    wait_timeout: float = DEFAULT_WAIT_TIMEOUT_SECONDS
    #: Seconds that the end of the run waits for sessions, whose releases are accepted, to be seen gone.
    end_timeout: float = DEFAULT_END_TIMEOUT_SECONDS
    #: Whether a session past its maximum lifetime is replaced rather than the next test failed.
    renew: bool = False
    #: Seconds that the service keeps a session at the most.
    max_lifetime: int = MAX_LIFETIME_SECONDS
    #: Whether orphans in the account are deleted when the run first asks for a session.
    sweep: bool = False
    #: Whether the sessions of tests that failed are left to the user.
    keep_failed: bool = False
    #: Calls that a failed test's dossier shows at the most, the latest.
    dossier_calls: int = DEFAULT_DOSSIER_CALLS
    #: Sandbox-minutes, used and idle, after which the run creates no more on this host; ``None`` for any
    #: number.
    budget_minutes: float | None = None
    #: File that the run's failures and costs are written to; empty where nobody asked for it.
    report: str = ""
    #: Seconds that a create, a lease and a delete took in the last run, where that is known.
    times: tuple[float, float, float] | None = None
    #: Sessions that the account had room for in the last run, where that is known.
    level: int | None = None
    #: One of `LOCAL_NETWORKS`; of the local backend only.
    local_network: str = "none"
    #: Where the run's files are on this host, as at the start; empty for this process's temp directory.
    temp_directory: str = ""

    def __repr__(self) -> str:
        shown = (f"{name}={value!r}" for name, value in self._asdict().items() if name != "api_key")
        return f"Settings({', '.join(shown)})"

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        refuse_copies(self, protocol)

    @property
    def outlives_run(self) -> bool:
        """Whether sessions outlive their run, so that they can be kept, swept and seen from other hosts.

        A local server takes its sessions with it.
        """
        return self.backend == CLOUD

    def to_wire(self) -> dict[str, Any]:
        """Plain values, such as xdist can send to a worker. Holds the key: for that channel only."""
        return {**self._asdict(), "api_key": None if self.api_key is None else self.api_key.reveal()}

    @classmethod
    def from_wire(cls, values: Mapping[str, Any]) -> "Settings":
        """Undo `to_wire`."""
        times, key = values["times"], values["api_key"]
        return cls(
            **{
                **values,
                "images": tuple(values["images"]),
                "times": None if times is None else tuple(times),
                "api_key": None if key is None else Secret(key),
            }
        )
