"""The redactor: what it knows never survives, whatever it was written as, and all else stays as it is."""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drills.privacy import HIDDEN, Redactor, looks
from drills.privacy.finding import in_drill, in_environment
from drills.privacy.redactor import ANYWHERE, findable

letters = st.characters(exclude_categories=["Cs"], exclude_characters="*")
secrets = st.text(letters, min_size=ANYWHERE, max_size=40).filter(findable)
WRITTEN: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "JSON": json.dumps,
    "JSON in JSON": lambda value: json.dumps(json.dumps(value, ensure_ascii=False), ensure_ascii=False),
    "a URL": lambda value: quote(value, safe=""),
    "a form": quote_plus,
    "a shell": shlex.quote,
    "base64": lambda value: base64.b64encode(value.encode()).decode(),
    "base64 after something": lambda value: base64.urlsafe_b64encode(f"bob:{value}".encode()).decode(),
    "hex": lambda value: value.encode().hex(),
    "a repr": repr,
}


@settings(deadline=None)
@given(values=st.lists(secrets, min_size=1, max_size=4), around=st.lists(st.text(max_size=20), min_size=5, max_size=5))
def test_a_secret_never_survives_and_a_second_time_changes_nothing(values: list[str], around: list[str]) -> None:
    redact = Redactor(values)
    text = "".join(piece for pair in zip(around, [*values, ""], strict=False) for piece in pair)
    once = redact.text(text)
    assert not any(value.lower() in once.lower() for value in values)
    assert redact.text(once) == once


@pytest.mark.parametrize("how", [how for how in WRITTEN if how != "JSON in JSON"])
@settings(deadline=None)
@given(value=secrets)
def test_however_it_is_written(how: str, value: str) -> None:
    written = WRITTEN[how](value)
    for form in (f"x {written} y", *([f"x {written.upper()} y"] if how == "as it is" and value.isascii() else [])):
        told = Redactor([value], guess=False).text(form)
        assert HIDDEN in told
        assert written not in told


@settings(deadline=None)
@given(value=secrets, text=st.text(st.characters(exclude_categories=["Cs"])))
def test_text_without_a_secret_is_unchanged(value: str, text: str) -> None:
    if value.lower() not in text.lower():
        assert Redactor([value], guess=False).text(text) == text


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.sampled_from("abc 12.-=")),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.sampled_from("abcxyz")), inner),
        max_leaves=20,
    )
)
def test_a_document_without_a_secret_is_unchanged(document: object) -> None:
    assert Redactor(["s3cr3t-s3cr3t"], ["kim@example.org"])(document) == document


@pytest.mark.parametrize(
    "value", ["1", "true", "primary", "standby", "primary-1", "standby/node-2", "8080", "admin", "******"]
)
def test_common_words_are_no_secrets(value: str) -> None:
    text = f"region {value} answered {value} of 8080 in phase=after, node {value}"
    assert Redactor([value], [value]).text(text) == text


def test_a_short_secret_is_found_where_it_stands_by_itself() -> None:
    assert Redactor(["hunt3r"]).text("as hunt3r, not hunt3rs: 'hunt3r'") == "as ***, not hunt3rs: '***'"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("http://bob:p4ss@host:80/x", "http://bob:***@host:80/x"),
        ("postgres://bob:p@ss/w@db/x", "postgres://bob:***@ss/w@db/x"),
        ("GET /x?a=1&access_token=abc&k=20", "GET /x?a=1&access_token=***&k=20"),
        ("GET /x?user=42&k=20", "GET /x?user=***&k=20"),
        ("Authorization: Bearer abc.def", "Authorization: ***"),
        ('{"authorization": "Bearer abc.def"}', '{"authorization": "***"}'),
        ("sent Bearer aB3dEfGh1", "sent Bearer ***"),
        ("curl --token deadbeef http://x", "curl --token *** http://x"),
        ("DB_PASSWORD=letmein", "DB_PASSWORD=***"),
        ("ghp_0123456789abcdefghijABCDEFGHIJ", "***"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMI\n-----END RSA P", "-----BEGIN RSA PRIVATE KEY-----***-----END RSA P"),
        ("Authorization: Bearer ${env:SHOP_TOKEN}", "Authorization: Bearer ${env:SHOP_TOKEN}"),
        ("/recommend?user={user}&k={k}&token=${token}", "/recommend?user={user}&k={k}&token=${token}"),
        ("availability >= 0.99, basic availability, phase=after",) * 2,
    ],
)  # fmt: skip
def test_what_looks_like_a_secret_is_one(text: str, told: str) -> None:
    assert looks.hidden(text) == told
    assert looks.hidden(told) == told


def test_keys_and_flags_tell_what_is_secret() -> None:
    told = Redactor()(
        {
            "password": "x",
            "X-Api-Key": "y",
            "passphrase": 1234,
            "max_tokens": 100,
            "secrets": ["shop"],
            "command": ["curl", "--token", "z", "-u", "bob:w", "-H", "X-Auth-Token: v", "http://x"],
        }
    )
    assert told == {
        "password": HIDDEN,
        "X-Api-Key": HIDDEN,
        "passphrase": HIDDEN,
        "max_tokens": 100,
        "secrets": ["shop"],
        "command": ["curl", "--token", HIDDEN, "-u", f"bob:{HIDDEN}", "-H", f"X-Auth-Token: {HIDDEN}", "http://x"],
    }


def test_user_ids_are_found_as_mails_and_urls_write_them() -> None:
    redact = Redactor(people=["kim@example.org", "auth0|5f7c", "Anna Lena Möller", "12345678", "ab"])
    text = (
        "kim@example.org. /u/kim%40example.org?x=1 KIM@Example.org, auth0|5f7c (Anna Lena Möller) 12345678 123456789 ab"
    )
    assert redact.text(text) == "***. /u/***?x=1 ***, *** (***) *** 123456789 ab"


def test_which_values_of_a_drill_and_its_environment_are_secret() -> None:
    environment = {
        "SHOP_TOKEN": "tok-1234567",
        "REGION": "eu-west-1",
        "THING": "Zx9-0815-qQ",
        "AWS_SECRET_ACCESS_KEY": "aws/s3cret+key",
        "DATABASE": "postgres://bob:dbpass-1@db/x",
        "HOME": "/home/kim",
        "SECRET_MODE": "strict",
    }
    drill = {
        "secrets": {"shop": {"pin": 12345678, "key": "inl-1ne"}, "other": {"type": "env", "key": "THING"}},
        "configuration": {"region": {"type": "env", "key": "REGION"}, "api_token": "c0nf-token"},
        "method": [{"provider": {"arguments": ["--password", "fl4g", "http://a:urlp4ss@b"]}}],
        "extensions": [{"name": "recdr", "service": {"headers": {"X-Shop": "${env:SHOP_TOKEN}", "Cookie": "c00kie"}}}],
    }
    found = {*in_environment(environment), *in_drill(drill, environment)}
    assert found >= {
        *("tok-1234567", "Zx9-0815-qQ", "aws/s3cret+key", "dbpass-1", "12345678"),
        *("inl-1ne", "c0nf-token", "fl4g", "urlp4ss", "c00kie"),
    }
    assert not found & {"eu-west-1", "/home/kim", "strict"}


@pytest.mark.parametrize(
    "wrong", [5, "x", True, ["a"], {"a": 1}, None, [5, None, {"variants": 3}], [{"variants": [4]}]]
)
@pytest.mark.parametrize("key", ["secrets", "configuration", "extensions", "method", "title"])
def test_a_drill_that_is_no_drill_is_looked_into_all_the_same(key: str, wrong: Any) -> None:
    """It is refused, and the refusal has no secret in it: so this is done before anybody has checked it."""
    command = {"arguments": ["--token", "planted-78"]}
    experiment = {"secrets": {"shop": {"token": "kv9Zq3-planted-77"}}, "provider": command}
    found = set(in_drill(experiment | {key: wrong}, {}))
    assert "planted-78" in found
    assert key == "secrets" or "kv9Zq3-planted-77" in found
