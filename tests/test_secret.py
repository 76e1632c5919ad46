"""What holds a key or a token shows it to nobody who prints, walks, pickles or copies it."""

from __future__ import annotations

import copy
import dataclasses
import functools
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.standin import IMAGE, StandIn
from support.walk import texts

from pytest_agb import AGB, CreateSessionParams
from pytest_agb.client.api import direct_link, endpoints, stream_link
from pytest_agb.environment import Account
from pytest_agb.local.api import app, signed_urls
from pytest_agb.local.server import ServerConfig
from pytest_agb.local.sessions import registry
from pytest_agb.pool.pool import Pool
from pytest_agb.secret import Secret
from pytest_agb.settings import Settings

KEY = "ako-very-secret-0123456789"


def test_a_secret_shows_itself_only_to_who_asks_for_it() -> None:
    secret = Secret(KEY)

    assert secret.reveal() == KEY
    assert (bool(secret), bool(Secret(""))) == (True, False)
    assert secret == Secret(KEY) != Secret("another")
    assert KEY not in f"{secret} {secret!r} {[secret]}"
    shown = [repr(getattr(secret, name)) for name in dir(secret)]
    assert KEY not in "".join(shown)


def _used_agb(service: StandIn) -> AGB:
    agb = AGB(KEY, service.endpoint)
    agb.list().check()
    return agb


def _session(service: StandIn) -> Any:
    service.stream = {"wsUrl": "ws://127.0.0.1:9", "token": KEY}
    session = _used_agb(service).create(CreateSessionParams(IMAGE)).check().session
    session.direct_link = direct_link.DirectLink("https://link.invalid", Secret(KEY), {"shell": "server"})
    session.info().check()
    return session


def _settings(service: StandIn) -> Settings:
    return Settings(
        backend="cloud",
        run_id="run-00000001",
        images=(IMAGE,),
        labels={},
        scope="function",
        idle_timeout=300,
        local_isolation="auto",
        endpoint=service.endpoint,
        timeout_seconds=10.0,
        api_key=Secret(KEY),
    )


def _local_session(service: StandIn) -> registry.Session:
    session = registry.Session("session-1", 1, IMAGE, {}, 300, None, 0, 0)  # type: ignore[arg-type]
    session.token = Secret(KEY)
    return session


def _signed_urls(service: StandIn) -> signed_urls.SignedUrls:
    urls = signed_urls.SignedUrls(None)  # type: ignore[arg-type]
    urls._secret = Secret(KEY)
    return urls


#: Whatever holds a key or a token, each as it is when it was used.
HOLDERS: dict[str, Callable[[StandIn], Any]] = {
    "Secret": lambda service: Secret(KEY),
    "Account": lambda service: Account(KEY, service.endpoint, 1.0),
    "Settings": _settings,
    "AGB": _used_agb,
    "unused AGB": lambda service: AGB(KEY, service.endpoint),
    "Transport": lambda service: _used_agb(service)._transport,
    "Session": _session,
    "its modules": lambda service: [(found := _session(service)).code, found.command, found.file_system],
    "its result": lambda service: _used_agb(service).create(CreateSessionParams(IMAGE)).check(),
    "Pool": lambda service: Pool(_settings(service)),
    "DirectLink": lambda service: _session(service).direct_link,
    "Request": lambda service: dataclasses.replace(endpoints.get_status("x"), token=Secret(KEY)),
    "StreamLink": lambda service: stream_link.of({"wsUrl": "ws://x", "token": KEY}),
    "ServerConfig": lambda service: ServerConfig(
        api_key=Secret(KEY), isolation="none", data_directory=Path()
    ),
    "local session": _local_session,
    "signed URLs": _signed_urls,
    "local server": lambda service: app.make(None, None, Secret(KEY)),  # type: ignore[arg-type]
}


@pytest.fixture
def service() -> Any:
    with StandIn() as standin:
        standin.add_account(KEY)
        yield standin


@pytest.mark.parametrize("holder", HOLDERS)
def test_nobody_who_walks_it_comes_by_the_secret(service: StandIn, holder: str) -> None:
    thing = HOLDERS[holder](service)

    shown = list(texts(thing))
    if isinstance(thing, Settings):
        shown += [repr(list(thing)), repr(thing._asdict()), tuple.__repr__(thing)]
    assert len(shown) > 1
    assert [text for text in shown if KEY in text] == []


@pytest.mark.parametrize("holder", [name for name in HOLDERS if name != "local server"])
def test_it_refuses_to_be_pickled_or_copied_deeply_and_says_why(service: StandIn, holder: str) -> None:
    thing = HOLDERS[holder](service)
    ways: list[Callable[[Any], object]] = [copy.deepcopy]
    ways += [functools.partial(pickle.dumps, protocol=n) for n in range(pickle.HIGHEST_PROTOCOL + 1)]
    if dataclasses.is_dataclass(thing) and holder != "its result":
        ways.append(dataclasses.asdict)

    of_the_user = holder in ("Settings", "AGB", "unused AGB", "Session", "Pool")
    who = f"^{type(thing).__name__}" if of_the_user else ""
    for way in ways:
        with pytest.raises(TypeError, match=f"{who} can't be pickled or copied: it holds a key or a token"):
            way(thing)


def test_settings_travel_to_workers_with_their_key(service: StandIn) -> None:
    settings = _settings(service)

    wire = settings.to_wire()

    assert all(not isinstance(value, Secret) for value in wire.values())  # execnet knows plain values only
    assert Settings.from_wire(wire) == settings
