"""``notify`` in a drill file: what is allowed, and that no message repeats an address that was put there."""

from __future__ import annotations

from pathlib import Path

import pytest

from drills import spec
from drills.errors import SpecError
from drills.spec import Notify

SHIPPED = spec.find("failover.yaml").read_text()
SECRET = "T0secret0T"


def drill(folder: Path, notify: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(f"{SHIPPED.rstrip()}\n    notify: {notify}\n")
    return path


def test_who_is_told_of_what(tmp_path: Path) -> None:
    path = drill(tmp_path, "[{to_env: RECDR_NOTIFY_SLACK}, {to_env: RECDR_NOTIFY_MAIL, when: [pass, changed]}]")
    assert spec.load(path).notify == (
        Notify("RECDR_NOTIFY_SLACK", ("changed", "fail", "unknown")),
        Notify("RECDR_NOTIFY_MAIL", ("pass", "changed")),
    )
    assert spec.load(spec.find("failover.yaml")).notify == ()


@pytest.mark.parametrize(
    ("written", "key", "said"),
    [
        (f"https://hooks.slack.com/services/{SECRET}", "notify", "a list of those who are told"),
        (f"[https://hooks.slack.com/{SECRET}]", "notify[0]", "a mapping with 'to_env'"),
        (f"[{{to_env: 'slack://{SECRET}'}}]", "notify[0].to_env", "an address stands here"),
        (f"[{{to_env: {SECRET}}}]", "notify[0].to_env", "the name of an environment variable"),
        ("[{to_env: RECDR_NOTIFY}]", "notify[0].to_env", "the name of an environment variable"),
        ("[{to_env: RECDR_NOTIFY_WHEN}]", "notify[0].to_env", "holds no address"),
        (f"[{{too_env: {SECRET}}}]", "notify[0].too_env", "Did you mean 'to_env'?"),
        ("[{when: [fail]}]", "notify[0]", "'to_env' is missing"),
        ("[{to_env: RECDR_NOTIFY_A, when: fail}]", "notify[0].when", "a list is expected"),
        ("[{to_env: RECDR_NOTIFY_A, when: []}]", "notify[0].when", "a list is expected"),
        ("[{to_env: RECDR_NOTIFY_A, when: [fial]}]", "notify[0].when[0]", "Did you mean 'fail'?"),
        ("[{to_env: RECDR_NOTIFY_A}, {to_env: RECDR_NOTIFY_A}]", "notify[1].to_env", "stands there twice"),
        ("[]", "notify", "a list of those who are told"),
    ],
)
def test_what_is_wrong_is_named_without_what_may_be_a_secret(tmp_path: Path, written: str, key: str, said: str) -> None:
    path = drill(tmp_path, written)
    with pytest.raises(SpecError) as refused:
        spec.load(path)
    assert str(refused.value).startswith(f"{path}:{len(SHIPPED.rstrip().splitlines()) + 1}: recdr.{key}: ")
    assert said in str(refused.value)
    assert SECRET not in str(refused.value)
