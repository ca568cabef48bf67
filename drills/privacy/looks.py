"""What looks like a secret, whoever's it is: the second net, for what nobody told recdr."""

from __future__ import annotations

import re
from collections.abc import Iterator

HIDDEN = "***"

_NAMES = r"passwords?|passwd|passphrase|secret|token|api[-_]?key|access[-_]?key|private[-_]?key|credentials?"
_VALUE = r"[^\s'\",;&<>(){}\[\]$*][^\s'\",;&<>()}\]]{3,}"
_PEOPLE = r"user|user[-_]?id|uid|customer|customer[-_]?id|member|email|account"
_SECRET_NAME = re.compile(rf"(?i)(?:{_NAMES}|authorization|cookie|webhook|x-auth|[-_]pass$|[-_]pat$|[-_]dsn$|[-_]key$)")
_NUMBER_NAME = re.compile(r"(?i)(?:password|passwd|passphrase|secret)$")
_FLAG = re.compile(rf"(?i)--?(?:[a-z][\w-]*[-_])?(?:{_NAMES})|-H|--header|-u|--user")
_TEMPLATE = re.compile(r"\{\w+(?::number)?\}|\$\{?[A-Za-z_]")
"""A place in a drill file where a value is put in later: it is no value."""

_WORDS = ("passw", "passphrase", "secret", "token", "key", "credential")
# Each hides its first group, in texts that hold one of the words: looking for words is a hundred times as fast.
_PATTERNS = [
    (words, re.compile(pattern, re.DOTALL))
    for words, pattern in (
        (("private key",), r"-----BEGIN [A-Z ]*PRIVATE KEY-----(.+?)(?:-----END|\Z)"),
        (("@",), r"://[^/\s:@'\"<>]*:([^/\s'\"<>]+)@"),
        (("@",), r"://([^/\s:@'\"<>]{16,})@"),
        (("=",), rf"(?i)[?&;](?:[\w.-]*(?:{_NAMES}|auth|signature|sig)[\w.-]*|key)=([^&\s'\"<>#]+)"),
        (("=",), rf"(?i)[?&;](?:{_PEOPLE})=([^&\s'\"<>#]+)"),
        (("authorization",), r"(?i)\b(?:proxy-)?authorization\\?['\"]?\s*[:=]\s*\\?['\"]?([^\r\n'\"\\,}]{4,})"),
        (("cookie",), r"(?i)\b(?:set-)?cookie\\?['\"]?\s*[:=]\s*\\?['\"]?([^\r\n'\"\\}]{4,})"),
        (("bearer", "basic"), r"\b(?:[Bb]earer|BEARER|[Bb]asic|BASIC)\s+(?=[a-z._~+/=-]*[\dA-Z])([\w.~+/=-]{8,})"),
        (_WORDS, rf"(?i)(?:{_NAMES})[\w.-]*\\?['\"]?\s*[=:]\s*\\?['\"]?({_VALUE})"),
        (_WORDS, rf"(?i)(?<!\S)--?(?:[a-z][\w-]*[-_])?(?:{_NAMES})\s+({_VALUE})"),
        (("gh",), r"(?<!\w)(gh[opsur]_[A-Za-z0-9]{16,})"),
        (("github_pat_", "glpat-"), r"(?<!\w)(github_pat_\w{16,}|glpat-[\w-]{16,})"),
        (("xox",), r"(?<!\w)(xox[abeoprs]-[\w-]{10,})"),
        (("akia", "asia", "aiza"), r"(?<![A-Za-z0-9])((?:AKIA|ASIA)[A-Z0-9]{16}|AIza[\w-]{30,})"),
        (("sk-", "k_"), r"(?<![A-Za-z0-9])(sk-[\w-]{20,}|[srp]k_(?:live|test)_\w{16,})"),
        (("eyj", "hvs."), r"(?<!\w)(eyJ[\w-]{8,}\.[\w-]{4,}\.[\w-]*|hvs\.[\w-]{20,})"),
        (("sg.", "hf_"), r"(?<!\w)(SG\.[\w-]{16,}\.[\w-]{16,}|hf_[A-Za-z0-9]{30,})"),
        (("hooks.slack.com",), r"(?i)hooks\.slack\.com/(?:services|workflows)/([^\s'\"<>]+)"),
    )
]


def is_secret_name(name: str) -> bool:
    """Whether a key, a header or a variable of this name holds a secret: ``SHOP_TOKEN``, ``Authorization``."""
    return _SECRET_NAME.search(name) is not None


def holds_secret_number(name: str) -> bool:
    """Whether even a number under this name is secret; ``max_tokens`` is not."""
    return _NUMBER_NAME.search(name) is not None


def is_secret_flag(word: str) -> bool:
    """Whether the word of a command that follows this one may be secret: ``--token``, ``-u``."""
    return _FLAG.fullmatch(word) is not None


def is_template(text: str) -> bool:
    """Whether something is put into the text later, such as ``{user}`` or ``${env:TOKEN}``."""
    return _TEMPLATE.search(text) is not None


def spans(text: str) -> Iterator[tuple[int, int]]:
    """Where in a text something stands that looks like a secret."""
    lower = text.lower()
    for words, pattern in _PATTERNS:
        if not any(word in lower for word in words):
            continue
        for found in pattern.finditer(text):
            begin, end = found.span(1)
            inside = text[begin:end]
            if inside.strip("* ") and not is_template(inside):
                yield begin, end


def hidden(text: str) -> str:
    """The text with ``***`` in place of what looks like a secret."""
    merged: list[list[int]] = []
    for begin, end in sorted(spans(text)):
        if merged and begin <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([begin, end])
    for begin, end in reversed(merged):
        text = text[:begin] + HIDDEN + text[end:]
    return text
