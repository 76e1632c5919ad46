"""The page of a session, as a person sees it: in headless Chromium."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.local_server import Sandbox

sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright: there is nothing to browse with")


def _chromium(own: str) -> str:
    for found in (own, *map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        if found and Path(found).exists():
            return found
    pytest.skip("no Chromium on this machine: there is nothing to browse with")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=_chromium(playwright.chromium.executable_path),
            chromium_sandbox=os.getuid() != 0,
            args=["--disable-gpu", "--disable-background-networking", "--disable-sync", "--disable-quic"],
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    page = browser.new_page()
    page.set_default_timeout(20_000)
    yield page
    page.close()


#: One red pixel.
_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"


def _open(page: Any, sandbox: Sandbox) -> str:
    """Open a session's page as a person does, and return its token."""
    data = sandbox.api.post("/mcp/getSession", {"sessionId": sandbox.session_id})["data"]
    page.goto(data["resourceUrl"])
    page.get_by_label("Token").fill("wrong")
    page.get_by_role("button", name="Open").click()
    assert page.get_by_role("alert").inner_text() == "That is not this session's token."
    page.get_by_label("Token").fill(data["token"])
    page.get_by_role("button", name="Open").click()
    assert page.get_by_role("heading", level=1).inner_text() == sandbox.session_id
    token: str = data["token"]
    return token


def test_from_the_token_to_a_file(page: Any, sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.shell("mkdir results; echo 'all <b>good</b>' > results/report.html")
    token = _open(page, sandbox)

    assert token not in page.url
    call = page.locator("details")
    call.locator("summary").click()
    assert "mkdir results" in call.inner_text()
    page.get_by_role("link", name="results/").click()
    page.get_by_role("link", name="report.html").click()
    assert page.locator("#text").inner_text().strip() == "all <b>good</b>"
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert Path(download.value.path()).read_text() == "all <b>good</b>\n"
    assert download.value.suggested_filename == "report.html"
    page.get_by_role("link", name="Directory").click()
    page.get_by_role("link", name="Parent directory").click()
    assert page.get_by_role("link", name="results/").is_visible()


def test_an_image_is_shown(page: Any, sandbox: Sandbox) -> None:
    sandbox.shell(f"echo {_PNG} | base64 -d > dot.png")
    _open(page, sandbox)

    page.get_by_role("link", name="dot.png").click()

    image = page.get_by_role("img")
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 1


def test_no_script_of_a_sandbox_runs(page: Any, sandbox: Sandbox) -> None:
    script = "<script>document.title = 'run'</script><img src=x onerror=\"document.title = 'run'\">"
    sandbox.tool("write_file", path="x.html", content=script)
    sandbox.shell(f"touch '{script.replace('/', '')[:60]}'; echo \"{script}\"")
    _open(page, sandbox)
    assert page.title().startswith(sandbox.session_id)

    page.get_by_role("link", name="x.html").click()

    assert script in page.locator("#text").inner_text()
    assert page.title().startswith(sandbox.session_id)
