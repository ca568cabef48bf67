"""Which values are secret: what a drill calls so, what it takes from the environment, and what the environment does."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from drills.privacy import looks

_VARIABLE = re.compile(r"\$\{env:(\w+)\}")
_PLAIN = re.compile(
    r"[-+]?\d+(?:[.:,]\d+)*"  # numbers, versions, addresses
    r"|(?i:true|false|yes|no|on|off|none|null)"
    r"|[A-Za-z]+\d{0,2}[a-z]?(?:[-_. ](?:[A-Za-z]+\d{0,2}|\d{1,2}[a-z]?))*"  # words: production, eu-west-1a
    r"|\w+://[^\s?#@]*|\.{0,2}/[^\s]*"  # addresses and paths
    r"|[\w.-]+:\d{1,5}"
)
_WORDS = re.compile(
    r"[-+]?\d+(?:[.:,]\d+)*|[A-Za-z]+(?:[-_. ][A-Za-z]+)*|\w+://[^\s?#@/]*/?|\.{0,2}/[^\s]*|[A-Za-z.-]+:\d{1,5}"
)
"""What is no secret whatever it is called."""
FROM_ELSEWHERE = ("env", "vault")


def is_plain(value: str) -> bool:
    """Whether a value says by itself that it is no secret: a number, words, an address, a path."""
    return _PLAIN.fullmatch(value) is not None


def in_environment(environment: Mapping[str, str]) -> Iterator[str]:
    """The values of variables that are called like secrets, and passwords in the addresses of any."""
    for name, value in environment.items():
        if looks.is_secret_name(name) and not _WORDS.fullmatch(value):
            yield from _with_lines(value)
        elif "@" in value:
            yield from (value[begin:end] for begin, end in looks.spans(value))


def in_drill(experiment: Mapping[str, Any], environment: Mapping[str, str]) -> Iterator[str]:
    """The secret values of a drill, as far as this machine can tell them."""
    for value in leaves(experiment.get("secrets")):
        yield from _with_lines(_looked_up(value, environment))
    yield from _in_configuration(experiment.get("configuration"), environment)
    for variant in _variants(experiment):
        yield from _in_configuration(variant, environment)
    for key, text in texts(experiment):
        for name in _VARIABLE.findall(text):
            value = environment.get(name, "")
            if looks.is_secret_name(key) or looks.is_secret_name(name) or not is_plain(value):
                yield from _with_lines(value)
        bare = text.removeprefix("Bearer ").removeprefix("Basic ")
        if looks.is_secret_name(key) and not looks.is_template(text) and not _WORDS.fullmatch(bare):
            yield from _with_lines(bare)
        yield from (text[begin:end] for begin, end in looks.spans(text))
    yield from _in_commands(experiment)


def leaves(secrets: Any) -> Iterator[Any]:
    """What ``secrets:`` leads to: values, and ``{type: env, key: NAME}`` where they are looked up."""
    if isinstance(secrets, Mapping) and secrets.get("type") not in FROM_ELSEWHERE:
        for inner in secrets.values():
            yield from leaves(inner)
    elif isinstance(secrets, list):
        for inner in secrets:
            yield from leaves(inner)
    elif secrets is not None:
        yield secrets


def texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a document with the key that it stands under, ``""`` in a list."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from texts(inner, str(name))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts(inner)


def _in_configuration(configuration: Any, environment: Mapping[str, str]) -> Iterator[str]:
    if not isinstance(configuration, Mapping):
        return
    for name, value in configuration.items():
        found = _looked_up(value, environment)
        told = isinstance(value, Mapping) and looks.is_secret_name(str(value.get("key")))
        from_elsewhere = isinstance(value, Mapping) and value.get("type") in FROM_ELSEWHERE
        if told or looks.is_secret_name(str(name)) or (from_elsewhere and not is_plain(found)):
            yield from _with_lines(found)


def _variants(experiment: Mapping[str, Any]) -> Iterator[Any]:
    """Of a drill that nobody has checked yet: what is wrong with it is said later, without its secrets."""
    extensions = experiment.get("extensions")
    for extension in extensions if isinstance(extensions, list) else ():
        if isinstance(extension, Mapping) and isinstance(extension.get("variants"), list):
            yield from (one.get("configuration") for one in extension["variants"] if isinstance(one, Mapping))


def _in_commands(value: Any) -> Iterator[str]:
    """What follows ``--token`` in a list of words."""
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _in_commands(inner)
    elif isinstance(value, list):
        for before, word in zip(["", *value], value, strict=False):
            yield from _in_commands(word)
            if isinstance(before, str) and isinstance(word, str) and looks.is_secret_flag(before):
                yield from _of_flag(before, word)


def _of_flag(flag: str, word: str) -> Iterator[str]:
    name, colon, value = word.partition(":")
    if looks.is_template(word):
        return
    if flag in ("-H", "--header"):
        if colon and looks.is_secret_name(name):
            yield value.strip().removeprefix("Bearer ").removeprefix("Basic ")
    elif flag in ("-u", "--user"):
        yield value
    else:
        yield word


def _looked_up(value: Any, environment: Mapping[str, str]) -> str:
    if not isinstance(value, Mapping):
        return "" if isinstance(value, bool) or value is None or isinstance(value, list) else str(value)
    if value.get("type") != "env":
        return ""
    return environment.get(str(value.get("key")), str(value.get("default") or ""))


def _with_lines(value: str) -> Iterator[str]:
    """The value and, as logs are read line by line, its lines."""
    yield value
    if "\n" in value:
        yield from (line.strip() for line in value.splitlines() if len(line.strip()) >= 8)
