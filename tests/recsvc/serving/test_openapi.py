"""The document against the routes, against every answer, and against thousands of made-up requests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import validate

from recsvc import answers, openapi
from recsvc.api import Api
from recsvc.bundle import Bundle
from recsvc.problems import TITLES
from recsvc.pseudonym import Pseudonymiser
from recsvc.seed import seed
from recsvc.standing import Standing
from recsvc.tokens import OPEN
from tests.recsvc.serving.cluster import Cluster, Node

TOKEN = "a-token-for-the-fuzzer"
ADMIN_ONLY = {"accelerator-not-failable"}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> Iterator[Node]:
    """A node with a seeded store that wants a token."""
    folder = tmp_path_factory.mktemp("guarded")
    cluster = Cluster(folder, bundle)
    try:
        store = cluster.store("store")
        seed(Bundle.load(bundle), Pseudonymiser.from_file(cluster.key_file), ("127.0.0.1", store.port))
        (folder / "tokens").write_text(f"{TOKEN} fuzzer\n")
        node = cluster.node("primary/node-1", store, "--token-file", str(folder / "tokens"), replication="async")
        node.http.headers["authorization"] = f"Bearer {TOKEN}"
        yield node
    finally:
        cluster.close()


def test_the_document_is_valid_and_printed_as_it_is_served(guarded: Node) -> None:
    served = guarded.http.get("/openapi.json").json()
    validate(served)
    printed = subprocess.run([sys.executable, "-m", "recsvc.openapi"], capture_output=True, check=True)
    assert json.loads(printed.stdout) == served == json.loads(json.dumps(openapi.document()))


def test_the_document_has_the_routes_and_no_others() -> None:
    routes = {**Api.__new__(Api).routes(), **Standing.__new__(Standing).routes()}
    served = {(path, method) for path, methods in routes.items() for method in methods}
    served |= {("/metrics", "GET"), ("/openapi.json", "GET")}  # of the node's, not of its handlers'
    assert {(operation.path, operation.method) for operation in openapi.OPERATIONS} == served


def test_every_problem_is_told_and_none_that_cannot_be() -> None:
    text = json.dumps(openapi.document())
    assert {kind for kind in TITLES if f"urn:recsvc:problem:{kind}" in text} == set(TITLES) - ADMIN_ONLY


def test_what_needs_no_token_says_so() -> None:
    for operation in openapi.OPERATIONS:
        described = openapi.document()["paths"][operation.path][operation.method.lower()]
        assert bool(described["security"]) == (operation.path not in OPEN)
        assert ("401" in described["responses"]) == (operation.path not in OPEN)


def members(kind: type, *, required: bool = False) -> set[str]:
    return {field.name for field in msgspec.structs.fields(kind) if field.required or not required}


def ask_all(node: Node) -> dict[type, dict[str, Any]]:
    """An answer of each type."""
    event = {"id": "openapi-1", "user": "u9", "item": "i7"}
    return {
        answers.Ranked: node.http.post("/v1/recommend", json={"user": "u1"}).json(),
        answers.Stored: node.http.post("/v1/events", json=event).json(),
        answers.Page: node.http.get("/v1/events").json(),
        answers.Live: node.http.get("/livez").json(),
        answers.State: node.http.get("/readyz").json(),
    }


def test_answers_have_the_members_that_the_document_names_and_no_others(guarded: Node) -> None:
    for kind, answer in ask_all(guarded).items():
        msgspec.convert(answer, kind, strict=True)
        assert members(kind, required=True) <= set(answer) <= members(kind)
    asked = {"user": "u1", "query": "stars", "explain": True}
    assert set(guarded.http.post("/v1/search", json=asked).json()) == members(answers.Ranked)
    msgspec.convert(guarded.http.get("/v1/model").json(), answers.Model, strict=True)


def test_made_up_requests_get_nothing_that_is_not_in_the_document(guarded: Node, tmp_path: Path) -> None:
    """Valid and invalid ones, wrong methods and types, missing tokens: schemathesis, always the same ones."""
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"http://{guarded.address}/openapi.json"]
    command += ["--header", f"Authorization: Bearer {TOKEN}", "--generation-deterministic", "--max-examples", "60"]
    command += ["--checks", "all", "--no-color", "--continue-on-failure"]
    root = Path(__file__).parents[3]
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "tests.recsvc.serving.fuzzing",
        "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")]),
    }
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-6000:] + ended.stderr[-2000:]
    # All but the operation by which the document itself was loaded.
    assert f"Tested: {len(openapi.OPERATIONS) - 1}" in ended.stdout, ended.stdout[-3000:]
    assert '"level": "error"' not in guarded.log.read_text(), "not even an error that a client got as a 500"


def test_the_fuzzer_would_notice_an_undocumented_answer(guarded: Node, tmp_path: Path) -> None:
    """Against a document that promises what the node does not keep, it fails."""
    wrong = openapi.document()
    wrong["servers"] = [{"url": f"http://{guarded.address}"}]
    wrong["paths"] = {"/livez": wrong["paths"]["/livez"]}
    wrong["components"]["schemas"]["Live"]["required"].append("never")
    (tmp_path / "wrong.json").write_text(json.dumps(wrong))
    command = [sys.executable, "-m", "schemathesis.cli", "run", str(tmp_path / "wrong.json")]
    command += ["--url", f"http://{guarded.address}", "--max-examples", "2", "--no-color"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "'never'" in ended.stdout or '"never"' in ended.stdout
