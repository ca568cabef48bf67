"""Who may ask for what: bearer tokens (RFC 6750) from a file, one a line.

    # TOKEN or sha256:DIGEST   [name]   [scopes, comma-separated: read, write, metrics; all three if left out]
    s3cr3t-s3cr3t-s3cr3t       shop     read,write
    sha256:9f86d0...           scraper  metrics

``/livez``, ``/readyz``, ``/readyz/write`` and ``/openapi.json`` need none: health checks carry no secrets.
Only digests are kept and compared, each in constant time, so neither a memory dump nor answering times give one away.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from recsvc.exchange import Exchange, Headers
from recsvc.problems import Problem

MIN_CHARACTERS = 16
TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""RFC 6750's b64token: what can stand in the header."""
DIGEST = re.compile(r"sha256:([0-9a-f]{64})")


class Scope(StrEnum):
    """What a token is good for."""

    READ = "read"
    WRITE = "write"
    METRICS = "metrics"


NEEDS: Mapping[tuple[str, str], Scope] = {
    ("/v1/recommend", "POST"): Scope.READ,
    ("/v1/search", "POST"): Scope.READ,
    ("/v1/events", "GET"): Scope.READ,
    ("/v1/events", "POST"): Scope.WRITE,
    ("/v1/model", "GET"): Scope.READ,
    ("/metrics", "GET"): Scope.METRICS,
}
OPEN = frozenset({"/livez", "/readyz", "/readyz/write", "/openapi.json"})
"""Paths that need no token; any other path without an entry above needs every scope."""


class TokenFileError(Exception):
    """The token file cannot be used; ``str()`` names it, the line and what to do, never a token."""


@dataclass(frozen=True)
class Token:
    """``digest`` is the token's SHA-256."""

    digest: bytes
    name: str
    scopes: frozenset[Scope]


class Tokens:
    """The tokens in force; `load` replaces them all."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.known: Sequence[Token] = ()
        self.load()

    def load(self) -> None:
        """Read the file; raises `TokenFileError`, and then what was in force before stays."""
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise TokenFileError(f"{self.path}: the token file cannot be read ({error}).") from None
        known = list(_tokens(self.path, lines))
        if not known:
            raise TokenFileError(f"{self.path}: there is no token in it. Write one a line, or leave --token-file out.")
        self.known = known

    def holder(self, authorization: bytes) -> Token | None:
        """Whose token the Authorization header holds; None where nobody's."""
        scheme, _, presented = authorization.partition(b" ")
        if scheme.lower() != b"bearer":
            return None
        digest, found = hashlib.sha256(presented.strip()).digest(), None
        for token in self.known:  # all of them, always: how long it takes says nothing
            if hmac.compare_digest(token.digest, digest):
                found = token
        return found

    def admit(self, exchange: Exchange, extra: Headers) -> None:
        """Return for a request that may be answered; raises a 401 or 403, whose header goes into ``extra``."""
        path, method = exchange.path, exchange.method
        if path in OPEN:
            return
        presented = [value for name, value in exchange.headers if name == b"authorization"]
        if not presented:
            raise _refused(extra, 401, "no-token", "Send it as 'Authorization: Bearer TOKEN'.")
        holder = self.holder(presented[0]) if len(presented) == 1 else None
        if holder is None:
            raise _refused(extra, 401, "no-token", "This is not a token that is in force here.", "invalid_token")
        needed = NEEDS.get((path, "GET" if method == "HEAD" else method))
        lacking = set(Scope) - holder.scopes if needed is None else {needed} - holder.scopes
        if lacking:
            scopes = " ".join(sorted(lacking))
            detail = f"The token called {holder.name!r} lacks the scope {scopes}."
            raise _refused(extra, 403, "not-allowed", detail, f'insufficient_scope", scope="{scopes}')


def _refused(extra: Headers, status: int, kind: str, detail: str, error: str | None = None) -> Problem:
    challenge = 'Bearer realm="recsvc"' + (f', error="{error}"' if error else "")
    extra.append((b"www-authenticate", challenge.encode()))
    return Problem(status, kind, detail)


def _tokens(path: Path, lines: Iterable[str]) -> Iterable[Token]:
    for number, line in enumerate(lines, start=1):
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        try:
            yield _token(words, number)
        except ValueError as error:
            raise TokenFileError(f"{path}:{number}: {error}.") from None


def _token(words: Sequence[str], number: int) -> Token:
    """The token that a line's words describe; raises ValueError, which says nothing of the token itself."""
    if len(words) > 3:
        raise ValueError("too many words: TOKEN, a name and comma-separated scopes are expected")
    scopes = frozenset(Scope)
    if len(words) == 3:
        named = words[2].split(",")
        if unknown := set(named) - set(Scope):
            raise ValueError(f"unknown scope {min(unknown)!r}; known are {', '.join(Scope)}")
        scopes = frozenset(map(Scope, named))
    name = words[1] if len(words) > 1 else f"line {number}"
    return Token(_digest(words[0]), name, scopes)


def _digest(word: str) -> bytes:
    if match := DIGEST.fullmatch(word):
        return bytes.fromhex(match[1])
    if not TOKEN.fullmatch(word):
        raise ValueError(
            "a token is made of letters, digits and . _ ~ + / - (RFC 6750), or is sha256: and 64 hex digits"
        )
    if len(word) < MIN_CHARACTERS:
        raise ValueError(f"the token has {len(word)} characters, at least {MIN_CHARACTERS} are needed")
    return hashlib.sha256(word.encode()).digest()
