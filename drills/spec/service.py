"""The ``service`` of a drill: how something that recdr did not deploy is asked, where, and for whom."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from drills.asking.jsonpaths import JsonPath
from drills.asking.service import Ask, Door, Service
from drills.asking.templates import NAMES, names_in, numbers_in, variables_in
from drills.spec.audience import Beside, held_out, names_of
from drills.spec.document import Document, Where
from drills.spec.hooks import read_hooks
from drills.spec.model import ServiceSettings
from drills.spec.rules import Choice, choice, kind_of, mapping, nearest, only_keys, text

KEYS = (
    "name", "edge", "regions", "headers", "read", "write", "read_back", "search", "region", "users", "items",
    "queries", "held_out", "personal", "hooks",
)  # fmt: skip
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
ASK_KEYS = ("path", "method", "headers", "body")
OWN_KEYS = {
    "read": ("ids", "scores"),
    "search": ("ids", "scores"),
    "write": ("acknowledged",),
    "read_back": ("ids", "next", "first"),
}
"""What each kind of request may say beyond ``ASK_KEYS``; these are JSONPaths, but for ``first``."""
NAMES_OF = {
    "read": ("user", "k", "n", "prefix"),
    "search": ("user", "query", "k", "n", "prefix"),
    "write": ("id", "user", "item", "n", "prefix"),
    "read_back": ("id", "cursor", "prefix"),
}
REGIONS = ("primary", "standby")
LISTS: tuple[str, ...] = ("users", "items", "queries")


def read_service(doc: Document, where: Where, beside: Beside) -> ServiceSettings:
    """The service at ``where``; raises SpecError. ``beside`` says whether files and variables are looked up."""
    written = mapping(doc, where)
    only_keys(doc, where, KEYS)
    for key in ("name", "edge", "read", "users"):
        if key not in written:
            raise doc.error(where, f"{key!r} is missing", _NEEDED[key])
    shared = _headers(doc, (*where, "headers"), beside) if "headers" in written else {}
    asks = {kind: _ask(doc, (*where, kind), kind, shared, beside) for kind in OWN_KEYS if kind in written}
    told: dict[str, Any] = {**asks, **_told_by(doc, where)}
    service = Service(text(doc, (*where, "name"), "the name of a service"), **told)
    lists = {key: names_of(doc, (*where, key), beside) for key in LISTS if key in written}
    _check_lists(doc, where, asks, lists, beside)
    personal = written.get("personal", True)
    if not isinstance(personal, bool):
        raise doc.error((*where, "personal"), f"true or false is expected, not {kind_of(personal)}")
    if personal and "user" not in asks["read"].names:
        problem = "the read does not say who asks: it holds no {user}"
        raise doc.error((*where, "read"), problem, "Add {user}, or write personal: false if all get the same list.")
    return ServiceSettings(
        service=service,
        edge=_url(doc, (*where, "edge")),
        users=lists["users"],
        items=lists.get("items", ()),
        queries=lists.get("queries", ()),
        regions=_regions(doc, (*where, "regions"), beside) if "regions" in written else {},
        held_out=held_out(doc, (*where, "held_out"), beside) if "held_out" in written else {},
        personal=personal,
        hooks=read_hooks(doc, (*where, "hooks"), beside) if "hooks" in written else {},
        folder=beside.folder,
    )


_NEEDED = {
    "name": "It stands in reports and tells baselines apart.",
    "edge": "For example: edge: http://127.0.0.1:8080",
    "read": 'For example: read: {path: /recommend, body: {user: "{user}"}, ids: "$.items[*].id"}',
    "users": "For example: users: {count: 200, prefix: user-}",
}


def _ask(doc: Document, where: Where, kind: str, shared: Mapping[str, str], beside: Beside) -> Ask:
    """One kind of request; without a method it is a GET, or a POST if it has a body."""
    written = mapping(doc, where)
    only_keys(doc, where, (*ASK_KEYS, *OWN_KEYS[kind]))
    if "path" not in written:
        raise doc.error(where, "'path' is missing", "For example: path: /v1/items")
    method = "POST" if "body" in written else "GET"
    if "method" in written:
        method = choice(Choice(METHODS), doc, (*where, "method"))
    own = _headers(doc, (*where, "headers"), beside) if "headers" in written else {}
    hidden = {name.lower() for name in own}
    ask = Ask(
        path=_path(doc, (*where, "path")),
        method=method,
        headers={**{name: value for name, value in shared.items() if name.lower() not in hidden}, **own},
        body=_body(doc, (*where, "body")) if "body" in written else None,
        **{key: _own(doc, (*where, key)) for key in OWN_KEYS[kind] if key in written},
    )
    _check_names(doc, where, kind, ask)
    {"read": _check_listing, "search": _check_listing, "write": _check_write, "read_back": _check_read_back}[kind](
        doc, where, ask
    )
    return ask


def _own(doc: Document, where: Where) -> str:
    """A JSONPath; the ``first`` cursor is any text or number."""
    value = doc.value(where)
    if where[-1] == "first" and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    written = text(doc, where, "a cursor" if where[-1] == "first" else "a JSONPath")
    if where[-1] != "first":
        try:
            JsonPath(written)
        except ValueError as error:
            raise doc.error(where, f"not a JSONPath (RFC 9535): {error}", 'One is "$.items[*].id".') from None
    return written


def _path(doc: Document, where: Where) -> str:
    path = text(doc, where, "a path")
    if not path.startswith("/"):
        raise doc.error(where, f"{path[:60]!r} does not begin with '/'", "The address stands in 'edge' and 'regions'.")
    if "#" in path or not path.isprintable() or " " in path:
        raise doc.error(where, "a path holds no spaces, control characters or '#'", "Write them percent-encoded.")
    return path


def _body(doc: Document, where: Where) -> Any:
    """Anything that JSON can say; YAML knows dates and bytes besides."""
    value = doc.value(where)
    if isinstance(value, dict):
        return {key: _body(doc, (*where, key)) for key in value}
    if isinstance(value, list):
        return [_body(doc, (*where, i)) for i in range(len(value))]
    if value is not None and not isinstance(value, str | int | float):
        raise doc.error(where, f"{kind_of(value)} cannot be sent as JSON", "Put it in quotes.")
    return value


def _headers(doc: Document, where: Where, beside: Beside) -> dict[str, str]:
    """Headers as written; that the variables they need are set is checked, their values are kept nowhere."""
    found = {}
    for name in mapping(doc, where):
        value = text(doc, (*where, name), "the value of a header")
        if not value.isprintable() or not value.isascii():
            raise doc.error((*where, name), "a header holds printable ASCII characters only")
        if not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
            raise doc.error((*where, name), f"{name[:60]!r} is no name of a header")
        found[name] = value
        for variable in sorted(variables_in({name: value})):
            if beside.looked_up and variable not in os.environ:
                problem = f"the environment variable {variable} is not set"
                raise doc.error((*where, name), problem, f"Run 'export {variable}=...' before recdr.")
    return found


def _check_names(doc: Document, where: Where, kind: str, ask: Ask) -> None:
    """Refuse a name that stands for nothing in this kind of request."""
    for part in ("path", "headers", "body"):
        value = doc.value(where).get(part)
        for name in sorted(names_in(value)):
            if name not in NAMES_OF[kind]:
                problem = f"{{{name}}} stands for nothing in a {kind}" if name in NAMES else f"{{{name}}} is not known"
                remedy = nearest(name, NAMES_OF[kind]).rstrip("?.")
                raise doc.error((*where, part), problem, f"{remedy}; write {{{{{name}}}}} to send it as it is.")
        if part != "body" and numbers_in(value):
            raise doc.error((*where, part), "':number' belongs into a body only")


def _check_listing(doc: Document, where: Where, ask: Ask) -> None:
    if ask.ids is None:
        problem = "'ids' is missing: where the ids stand in an answer"
        raise doc.error(where, problem, 'For example: ids: "$.items[*].id"')


def _check_write(doc: Document, where: Where, ask: Ask) -> None:
    if "read_back" in doc.value(where[:-1]) and "id" not in ask.names:
        problem = "what is written cannot be found again: neither path, headers nor body hold {id}"
        raise doc.error(where, problem, "Add it, or drop read_back.")


def _check_read_back(doc: Document, where: Where, ask: Ask) -> None:
    if "write" not in doc.value(where[:-1]):
        raise doc.error(where, "there is nothing to read back: the service has no 'write'", "Add one, or drop this.")
    by_id, paged = "id" in ask.names, "cursor" in ask.names
    if by_id and (paged or ask.next or ask.first):
        problem = "{id} asks for one event, a cursor for a list of them"
        raise doc.error(where, problem, "Keep one of them.")
    if by_id:
        return
    _check_listing(doc, where, ask)
    if paged and ask.next is None:
        problem = "{cursor} would never be known: 'next' is missing"
        raise doc.error(where, problem, 'For example: next: "$.next"')
    if not paged and (ask.next or ask.first):
        raise doc.error(where, "the next page could never be asked for: nothing holds {cursor}", "Add it to the path.")


def _told_by(doc: Document, service: Where) -> dict[str, Any]:
    """How an answer says which region it came from."""
    where = (*service, "region")
    if "region" not in doc.value(service):
        return {}
    written = mapping(doc, where)
    only_keys(doc, where, ("header", "json", "names"))
    if ("header" in written) == ("json" in written):
        raise doc.error(where, "either 'header' or 'json' says which region answered")
    found: dict[str, Any] = {}
    if "header" in written:
        found["region_header"] = text(doc, (*where, "header"), "the name of a header")
    else:
        found["region_json"] = _own(doc, (*where, "json"))
    if "names" in written:
        names = mapping(doc, (*where, "names"))
        found["region_names"] = {name: choice(Choice(REGIONS), doc, (*where, "names", name)) for name in names}
    return found


def _regions(doc: Document, where: Where, beside: Beside) -> dict[str, Door]:
    written = mapping(doc, where)
    only_keys(doc, where, REGIONS)
    found = {}
    for region, value in written.items():
        place = (*where, region)
        if isinstance(value, str):
            found[region] = Door(_url(doc, place))
            continue
        only = mapping(doc, place)
        only_keys(doc, place, ("url", "headers"))
        if "url" not in only:
            raise doc.error(place, "'url' is missing", "For example: url: http://127.0.0.1:8081")
        headers = _headers(doc, (*place, "headers"), beside) if "headers" in only else {}
        found[region] = Door(_url(doc, (*place, "url")), headers)
    if len({_plain(door) for door in found.values()}) < len(found):
        problem = "both regions have the same address and headers, so both lead to the same one"
        raise doc.error(where, problem, "Give each its own, or drop one.")
    return found


def _plain(door: Door) -> tuple[object, ...]:
    """The same for the same address and headers, in whatever case they are written."""
    parts = urlsplit(door.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    headers = sorted((name.lower(), value) for name, value in door.headers.items())
    return parts.scheme, parts.hostname, port, parts.path, tuple(headers)


def _url(doc: Document, where: Where) -> str:
    """An address without a slash at its end."""
    url = text(doc, where, "an address")
    try:
        parts = urlsplit(url)
        right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        right = False
    if not right or not url.isprintable() or " " in url:
        raise doc.error(where, f"{url[:60]!r} is no address", "Write it as http://HOST:PORT or https://HOST.")
    if parts.username or parts.password:
        problem = "an address must not hold a password: it would be copied into the run"
        raise doc.error(where, problem, "Use headers: {Authorization: ...${env:NAME}...}.")
    if parts.query or parts.fragment:
        raise doc.error(where, "an address has no '?' or '#'", "Put them into the path of the request.")
    return url.rstrip("/")


def _check_lists(
    doc: Document, where: Where, asks: Mapping[str, Ask], lists: Mapping[str, tuple[str, ...]], beside: Beside
) -> None:
    """Each name in a template must have something to stand for, numbers where numbers are sent."""
    for kind, ask in asks.items():
        for name, key in (("item", "items"), ("query", "queries")):
            if name in ask.names and key not in lists:
                example = f"{key}: {{count: 1000, prefix: {name}-}}" if key == "items" else f"{key}: [shoes, hats]"
                raise doc.error((*where, kind), f"it holds {{{name}}}, and {key!r} is missing", f"Add {example}.")
        for name in sorted(numbers_in(ask.body) & {"user", "item"}):
            wrong = next((value for value in lists[f"{name}s"] if not value.isdecimal()), None)
            if wrong is not None:
                shown = repr(wrong[:60]) if name == "item" else f"user {lists['users'].index(wrong) + 1} of the list"
                raise doc.error((*where, kind, "body"), f"{{{name}:number}} is sent, and {shown} is no number")
        for name in sorted(numbers_in(ask.body) - {"user", "item", "n", "k"}):
            raise doc.error((*where, kind, "body"), f"{{{name}:number}} cannot be a number", f"Write {{{name}}}.")
    if beside.looked_up and len(lists["users"]) < 2:
        problem = "fewer than 2 users: those whose lists are judged must not be those who write"
        raise doc.error((*where, "users"), problem, "For example: users: {count: 200, prefix: user-}")
