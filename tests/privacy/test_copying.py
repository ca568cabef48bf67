"""The copy of a drill file that a run keeps: nothing secret in it, the same lines, and still a drill."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from drills import privacy, spec
from drills.privacy.copying import without_secrets
from drills.spec.document import read
from tests.privacy.searching import found_in
from tests.promise.drilled import short

WRITTEN = """\
# was s3cr3t-inline before; a "quoted # sign" stays
title: "a # in the title"
secrets:
  shop:
    pin: 4711
    key: |
      s3cr3t-inline
      second-l1ne
    folded: >-
      s3cr3t-inline in
      two lines
    token: &t s3cr3t-inline
    other: {type: env, key: NAME}
configuration: {again: *t, plain: production, token: {type: env, key: NAME}}
method:
  - provider: {type: process, arguments: "run s3cr3t-inline
      twice", path: x}  # s3cr3t-inline
  - {name: next, secrets: [shop], text: "caf\\u00e9 \\u2028 s3cr3t-inline 😀"}
extensions:
  - name: other
  - name: recdr
    service:
      users: [kim@example.org, 42, "lee"]
      headers: {Authorization: "Bearer ${env:T}"}
"""


@pytest.fixture(autouse=True)
def _nobody_else_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privacy.known, "_KNOWN", privacy.known._Known())


def test_secrets_go_and_everything_else_keeps_its_line(tmp_path: Path) -> None:
    privacy.learn_drill(yaml.safe_load(WRITTEN))
    copy = without_secrets(WRITTEN)
    (tmp_path / "copy.yaml").write_text(copy)
    planted = {"inline": "s3cr3t-inline", "second": "second-l1ne", "user": "kim@example.org"}
    assert found_in(tmp_path, planted) == []
    told: Any = yaml.safe_load(copy)
    assert told["title"] == "a # in the title"
    assert told["secrets"]["shop"] == {
        **dict.fromkeys(("pin", "key", "folded", "token"), "***"),
        "other": {"type": "env", "key": "NAME"},
    }
    assert told["configuration"] == {"again": "***", "plain": "production", "token": {"type": "env", "key": "NAME"}}
    assert told["method"][0]["provider"]["arguments"] == "run *** twice"
    assert told["method"][1] == {"name": "next", "secrets": ["shop"], "text": "café \u2028 *** 😀"}
    assert told["extensions"][1]["service"]["users"] == ["0", "1", "2"]
    assert told["extensions"][1]["service"]["headers"] == {"Authorization": "Bearer ${env:T}"}
    (tmp_path / "drill.yaml").write_text(WRITTEN)
    there, here = read(tmp_path / "drill.yaml"), read(tmp_path / "copy.yaml")
    assert here.lines == there.lines


def test_a_file_without_secrets_is_copied_as_it_is() -> None:
    for path in spec.shipped():
        text = path.read_text()
        assert without_secrets(text) == text, path.name
        assert spec.inline_secrets(path) == []


def test_what_stands_in_the_file_is_warned_of_with_its_line_and_remedy(tmp_path: Path) -> None:
    drill = short(1)
    drill["secrets"] = {"shop": {"pin": 4711, "other": {"type": "env", "key": "NAME"}}}
    drill["extensions"][0]["service"]["headers"] = {"Authorization": "Bearer abc", "X-Shop": "${env:SHOP}"}
    drill["method"][0]["provider"]["arguments"]["heal"]["command"] += ["--token", "fl4g"]
    path = tmp_path / "drill.yaml"
    path.write_text(yaml.safe_dump(drill, sort_keys=False))
    lines = path.read_text().splitlines()
    warnings = spec.inline_secrets(path)
    assert len(warnings) == 3
    for warning, (text, remedy) in zip(
        sorted(warnings, key=lambda one: int(one.split(":")[1])),
        [("- fl4g", "from the environment"), ("Authorization:", "${env:NAME}"), ("pin:", "{type: env, key: NAME}")],
        strict=True,
    ):
        assert text in lines[int(warning.split(":")[1]) - 1]
        assert remedy in warning
    assert not any(secret in " ".join(warnings) for secret in ("fl4g", "abc", "4711"))
