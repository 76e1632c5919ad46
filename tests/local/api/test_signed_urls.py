"""A signed URL opens one file of a context, one way, for a time; nothing else does."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest
from starlette.requests import Request
from support.local_server import Api, Server

from pytest_agb.local.api.signed_urls import LIFETIME_SECONDS, SignedUrls
from pytest_agb.local.contexts.store import ContextStore


@pytest.fixture
def context_id(api: Api) -> str:
    answer = api.http.get("/sdk/GetContext", params={"name": "signed", "allowCreate": "true"}).json()
    context_id: str = answer["data"]["id"]
    return context_id


def _url(api: Api, context_id: str, way: str, path: str = "/tmp/x") -> str:
    answer = api.post(f"/sdk/GetContextFile{way}Url", contextId=context_id, filePath=path)
    url: str = answer["data"]["url"]
    return url


def _status(method: str, url: str) -> int:
    return httpx.request(method, url, content=b"x" if method == "PUT" else None, trust_env=False).status_code


def test_it_needs_no_key_and_shows_none(api: Api, server: Server, context_id: str) -> None:
    upload = _url(api, context_id, "Upload")
    assert upload.startswith(f"{server.endpoint}/context-file?")
    assert server.api_key not in upload
    assert _status("PUT", upload) == 200
    assert _status("GET", _url(api, context_id, "Download")) == 200


def test_it_is_good_for_one_way_only(api: Api, context_id: str) -> None:
    upload, download = _url(api, context_id, "Upload"), _url(api, context_id, "Download")
    assert _status("PUT", upload) == 200
    assert _status("GET", upload) == 403
    assert _status("PUT", download) == 403
    assert _status("DELETE", upload) == 403


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("filePath", "/tmp/y"),
        ("filePath", "/tmp/../../../etc/passwd"),
        ("contextId", "SdkCtx-other"),
        ("expires", "99999999999"),
        ("signature", ""),
        ("signature", "0" * 64),
        ("signature", "ä"),
    ],
)
def test_a_changed_url_opens_nothing(api: Api, context_id: str, name: str, value: str) -> None:
    parts = urlsplit(_url(api, context_id, "Upload"))
    query = {**dict(parse_qsl(parts.query)), name: value}
    response = httpx.put(parts._replace(query=urlencode(query)).geturl(), content=b"x", trust_env=False)
    assert response.status_code == 403
    assert response.json()["code"] == "SignatureDoesNotMatch"


def test_without_a_signature_nothing_is_open(server: Server, context_id: str) -> None:
    for query in ("", f"?contextId={context_id}&filePath=/tmp/x"):
        response = httpx.get(f"{server.endpoint}/context-file{query}", trust_env=False)
        assert response.status_code == 403


def test_another_servers_url_opens_nothing(tmp_path: Path) -> None:
    contexts = ContextStore(tmp_path)
    context_id = contexts.create("one").context_id
    url, _ = SignedUrls(contexts).make("http://here", "GET", context_id, "/x")
    assert _answer(SignedUrls(contexts), url) == (403, "SignatureDoesNotMatch")
    contexts.close()


def test_it_expires(tmp_path: Path) -> None:
    contexts = ContextStore(tmp_path)
    context_id = contexts.create("one").context_id
    with contexts.files(context_id).writing("/x") as file:
        file.write(b"data")
    now = [1000.0]
    urls = SignedUrls(contexts, clock=lambda: now[0])
    url, expires = urls.make("http://here", "GET", context_id, "/x")
    assert expires == 1000 + LIFETIME_SECONDS
    now[0] = expires - 1
    assert _answer(urls, url) == (200, "")
    now[0] = expires
    assert _answer(urls, url) == (403, "AccessDenied")
    contexts.close()


def _answer(urls: SignedUrls, url: str) -> tuple[int, str]:
    scope = {
        "type": "http", "method": "GET", "path": "/context-file", "headers": [],
        "query_string": urlsplit(url).query.encode(),
    }  # fmt: skip
    answer = asyncio.run(urls.answer(Request(scope)))
    code = "" if answer.status_code == 200 else json.loads(bytes(answer.body))["code"]
    return (answer.status_code, code)


def test_after_its_context_is_deleted_it_opens_nothing(api: Api, context_id: str) -> None:
    upload, download = _url(api, context_id, "Upload"), _url(api, context_id, "Download")
    assert _status("PUT", upload) == 200
    assert api.post("/sdk/DeleteContext", id=context_id)["success"]
    assert _status("GET", download) == 404
    assert _status("PUT", upload) == 404
