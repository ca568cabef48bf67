"""Who may ask for what, and what becomes of a token file that changes."""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest

from drills.asking.service import RECSVC
from recsvc.tokens import NEEDS, OPEN, Scope, TokenFileError, Tokens
from tests.recsvc.serving.cluster import Cluster, Node, eventually

ALL, READER, WRITER, SCRAPER = (
    "all-0123456789abcdef",
    "reader-0123456789abc",
    "writer-0123456789abc",
    "scraper-0123456789ab",
)
FILE = f"""
# the shop's
{ALL} shop
{READER} reader read
sha256:{hashlib.sha256(WRITER.encode()).hexdigest()} writer write   # only its digest stands here
{SCRAPER} scraper metrics
"""


@dataclass
class Guarded:
    node: Node
    file: Path

    def ask(self, method: str, path: str, token: str | None) -> httpx.Response:
        body = {"json": {"user": "u1"}} if method == "POST" and path != "/v1/events" else {}
        if (method, path) == ("POST", "/v1/events"):
            body = {"json": {"id": f"t-{token}", "user": "u1", "item": "i9"}}
        if path == "/v1/search":
            body["json"]["query"] = "stars"
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        return self.node.http.request(method, path, headers=headers, **body)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("tokens")
    cluster = Cluster(folder, bundle)
    try:
        (folder / "tokens").write_text(FILE)
        more = ("--token-file", str(folder / "tokens"))
        yield Guarded(
            cluster.node("primary/node-1", cluster.store("store"), *more, replication="async"), folder / "tokens"
        )
    finally:
        cluster.close()


@pytest.mark.parametrize(("path", "method"), NEEDS)
def test_each_token_is_good_for_its_scopes_alone(guarded: Guarded, path: str, method: str) -> None:
    scopes = {ALL: set(Scope), READER: {Scope.READ}, WRITER: {Scope.WRITE}, SCRAPER: {Scope.METRICS}}
    for token, allowed in scopes.items():
        answer = guarded.ask(method, path, token)
        needed = NEEDS[path, method]
        assert answer.status_code == (200 if needed in allowed else 403), answer.text
        if answer.status_code == 403:
            challenge = answer.headers["www-authenticate"]
            assert challenge == f'Bearer realm="recsvc", error="insufficient_scope", scope="{needed}"'
            assert answer.json()["type"] == "urn:recsvc:problem:not-allowed"


@pytest.mark.parametrize(("path", "method"), NEEDS)
def test_without_a_token_nothing_is_told_but_how_to_send_one(guarded: Guarded, path: str, method: str) -> None:
    answer = guarded.ask(method, path, None)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="recsvc"')
    assert answer.json()["type"] == "urn:recsvc:problem:no-token"


@pytest.mark.parametrize("path", sorted(OPEN))
def test_health_checks_need_none(guarded: Guarded, path: str) -> None:
    assert guarded.ask("GET", path, None).status_code == 200
    assert guarded.ask("GET", path, "nonsense").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        [("authorization", f"Basic {ALL}")],
        [("authorization", ALL)],
        [("authorization", "Bearer")],
        [("authorization", f"Bearer {ALL[:-1]}")],
        [("authorization", f"Bearer {ALL}x")],
        [("authorization", f"Bearer {hashlib.sha256(WRITER.encode()).hexdigest()}")],
        [("authorization", f"Bearer sha256:{hashlib.sha256(WRITER.encode()).hexdigest()}")],
        [("authorization", f"Bearer {ALL}"), ("authorization", f"Bearer {ALL}")],
        [("proxy-authorization", f"Bearer {ALL}")],
    ],
)
def test_anything_else_is_no_token(guarded: Guarded, headers: list[tuple[str, str]]) -> None:
    answer = guarded.node.http.get("/v1/model", headers=headers)
    assert answer.status_code == 401
    assert ("invalid_token" in answer.headers["www-authenticate"]) == (headers[0][0] == "authorization")


def test_the_scheme_has_no_case_and_a_query_is_no_place_for_a_token(guarded: Guarded) -> None:
    assert guarded.node.http.get("/v1/model", headers={"authorization": f"bEARER {ALL}"}).status_code == 200
    assert guarded.node.http.get(f"/v1/model?access_token={ALL}").status_code == 401


def test_a_drill_sends_its_token_from_the_environment(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    """As docs/api.md says: by the headers of the drill's own service section."""
    assert RECSVC.read is not None
    asked = replace(RECSVC.read, headers={"Authorization": "Bearer ${env:RECSVC_TOKEN}"})
    monkeypatch.setenv("RECSVC_TOKEN", READER)
    rendered = asked.render(user="u1", k=5)
    answer = guarded.node.http.post(rendered.path, content=rendered.body, headers=dict(rendered.headers))
    assert answer.status_code == 200
    assert len(asked.listed(answer.json())) == 5


def test_a_changed_file_counts_within_seconds_and_a_broken_one_changes_nothing(guarded: Guarded) -> None:
    newer = "newer-0123456789abcdef"
    reloaded = 'recsvc_reload_success{file="tokens"}'

    def scraped(token: str) -> str:
        return guarded.ask("GET", "/metrics", token).text

    try:
        guarded.file.write_text(f"{newer} newer\n")
        eventually(lambda: guarded.ask("GET", "/v1/model", newer).status_code == 200, within_s=5)
        assert guarded.ask("GET", "/v1/model", ALL).status_code == 401, "what left the file is out of force"
        guarded.file.write_text("short\n")
        eventually(lambda: f"{reloaded} 0" in scraped(newer), within_s=5)
        guarded.file.unlink()
        guarded.node.signal(signal.SIGHUP)
        assert guarded.ask("GET", "/v1/model", newer).status_code == 200
    finally:
        guarded.file.write_text(FILE)
        guarded.node.signal(signal.SIGHUP)
        eventually(lambda: f"{reloaded} 1" in scraped(ALL), within_s=5)
    log = guarded.node.log.read_text()
    assert "at least 16 are needed" in log
    assert not any(token in log for token in (ALL, READER, WRITER, SCRAPER, newer))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no token in it"),
        ("# nothing\n\n", "no token in it"),
        ("\nsecret\n", ":2: the token has 6 characters, at least 16"),
        ("secret-0123456789abc shop reed", ":1: unknown scope 'reed'; known are read, write, metrics"),
        ("secret-0123456789abc shop read write", ":1: too many words"),
        ("secret-0123456789äbc", ":1: a token is made of letters"),
        ("sha256:abc", ":1: a token is made of letters"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_by_line(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "tokens").write_text(text)
    with pytest.raises(TokenFileError) as refused:
        Tokens(tmp_path / "tokens")
    assert complaint in str(refused.value)
    assert "secret-" not in str(refused.value)


def test_a_missing_file_ends_the_start_with_a_message(cluster: Cluster) -> None:
    node = cluster.node("primary/node-1", cluster.store("store"), "--token-file", "/nonexistent", wait=False)
    assert node.popen.wait(timeout=20) == 2
    assert "/nonexistent: the token file cannot be read" in node.log.read_text()
