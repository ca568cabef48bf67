"""Drills of services that recdr did not deploy: what is read, and where and why each mistake is refused."""

# ruff: noqa: E501 - a table of mistakes is read one mistake a line
from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from drills.asking.service import Ask, Door
from drills.errors import SpecError
from drills.load.audience import Audience
from drills.spec import SCHEMA, Hook, load

SERVICE = """\
title: It holds
description: What happens
method:
  - {type: action, name: nothing, provider: {type: python, module: drills.faults.noop, func: inject}}
extensions:
  - name: recdr
    target: external
    load: {workers: 2}
    service:
      name: tinyshop
      edge: http://127.0.0.1:8080/
      regions:
        primary: http://127.0.0.1:8081
        standby: {url: "http://127.0.0.1:8082", headers: {X-Side: b}}
      headers: {Authorization: "Bearer ${env:SHOP_TOKEN}", X-All: "1"}
      read:
        path: /recommend
        body: {user: "{user}", k: "{k}"}
        ids: "$.items[*].id"
        scores: "$.items[*].score"
        headers: {x-all: "2"}
      write:
        path: /events
        body: {id: "{id}", user: "{user}", item: "{item}"}
        acknowledged: "$.stored"
      read_back:
        path: "/events?after={cursor}"
        ids: "$.events[*].id"
        next: "$.next"
      search:
        path: "/find/{query}"
        ids: "$.found"
      region: {header: X-Region, names: {eu: primary}}
      users: {count: 6, prefix: user-}
      items: [1, two]
      queries: {file: queries.txt}
      held_out: {file: held_out.jsonl}
      hooks:
        deploy: {command: [./up.sh, now], timeout_s: 5}
        status: {provider: {type: http, url: "http://127.0.0.1:8080/"}}
    objectives:
      rto_read_s: {max: 2}
      rpo_events: {max: 0}
      recall_at_20: {min: 0.1}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SHOP_TOKEN", "s3cret")
    (tmp_path / "queries.txt").write_text("red shoes\n\nhats\nhats\n")
    (tmp_path / "held_out.jsonl").write_text('{"user": "user-1", "items": ["two"]}\n{"user": 99, "items": [1]}\n')
    (tmp_path / "up.sh").write_text("")
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "one.txt").write_text("anna\n")
    (tmp_path / "broken.jsonl").write_text('{"user": "a", "items": ["x"]}\n{"user": "b"}\n')
    return tmp_path / "drill.yaml"


def written(file: Path, text: str) -> Path:
    file.write_text(text, encoding="utf-8")
    return file


def edited(*changes: tuple[str, str]) -> str:
    text = SERVICE
    for old, new in changes:
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the drill"
        text = text.replace(old, new)
    return text


def test_a_service_is_read_whole(file: Path) -> None:
    drill = load(written(file, SERVICE))
    settings = drill.service
    assert (drill.target, drill.judged_on, drill.load.workers) == ("external", "worst", 2)
    assert settings is not None
    assert (settings.edge, settings.folder, settings.personal) == ("http://127.0.0.1:8080", file.parent, True)
    assert settings.regions == {
        "primary": Door("http://127.0.0.1:8081"),
        "standby": Door("http://127.0.0.1:8082", {"X-Side": "b"}),
    }
    assert settings.users == tuple(f"user-{n}" for n in range(6))
    assert (settings.items, settings.queries) == (("1", "two"), ("red shoes", "hats"))
    assert settings.held_out == {"user-1": ("two",), "99": ("1",)}
    assert settings.hooks["deploy"] == Hook(("./up.sh", "now"), None, 5)
    assert settings.hooks["status"].provider == {"type": "http", "url": "http://127.0.0.1:8080/"}
    service = settings.service
    secret = {"Authorization": "Bearer ${env:SHOP_TOKEN}"}
    assert service.read == Ask(
        "/recommend",
        "POST",
        secret | {"x-all": "2"},
        {"user": "{user}", "k": "{k}"},
        ids="$.items[*].id",
        scores="$.items[*].score",
    )
    assert service.read_back == Ask(
        "/events?after={cursor}", "GET", secret | {"X-All": "1"}, ids="$.events[*].id", next="$.next"
    )
    assert service.write is not None and service.write.acknowledged == "$.stored"
    assert service.search is not None and service.search.method == "GET"
    assert (service.region_header, service.region_names) == ("X-Region", {"eu": "primary"})


def test_the_least_that_a_service_needs(file: Path) -> None:
    text = SERVICE[: SERVICE.index("    load:")] + (
        "    service: {name: a, edge: 'https://x', read: {path: '/r/{user}', ids: $.i}, users: [a, b]}\n"
        "    judged_on: median\n"
        "    objectives: {rto_read_s: {max: 1}, availability: {min: 0.5}}\n"
    )
    drill = load(written(file, text))
    assert drill.service is not None and drill.service.service.write is None
    assert drill.judged_on == "median"


def test_the_copy_in_a_run_needs_nothing_beside_it(file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SHOP_TOKEN")
    (tmp_path / "run").mkdir()
    copy = written(tmp_path / "run" / "drill.yaml", SERVICE.replace("{count: 6, prefix: user-}", "{file: users.txt}"))
    with pytest.raises(SpecError):
        load(copy)
    drill = load(copy, recorded=True)
    assert drill.service is not None and drill.service.users == ()
    assert drill.objectives.keys() == {"rto_read_s", "rpo_events", "recall_at_20"}


def test_secrets_are_in_nothing_that_is_read(file: Path) -> None:
    assert "s3cret" not in repr(load(written(file, SERVICE)))


def test_editors_accept_what_is_right(file: Path) -> None:
    jsonschema.validate(yaml.safe_load(SERVICE), json.loads(SCHEMA.read_text()))


USERS = "users: {count: 6, prefix: user-}"
READ_BACK = SERVICE[SERVICE.index("      read_back:") : SERVICE.index("      search:")]
BY_ID = '      read_back: {path: "/events/{id}"}\n'
WRITE = SERVICE[SERVICE.index("      write:") : SERVICE.index("      read_back:")]
HELD_OUT = "      held_out: {file: held_out.jsonl}\n"
REGIONS = SERVICE[SERVICE.index("      regions:") : SERVICE.index("      headers: {Auth")]
WRONG: list[tuple[list[tuple[str, str]], str, str]] = [
    # changes ("§" marks the line of the mistake), key, part of the message
    ([("    target: external", "    target: externl§")], "recdr.target", "Did you mean 'external'?"),
    ([("    target: external\n", "    target: local\n"), ("    service:", "    service:§")], "recdr.service", "Write target: external"),
    ([("    load:", "    topology: {}§\n    load:")], "recdr.topology", "Remove it."),
    ([("workers: 2", "workers: 0§")], "recdr.load.workers", "0 is below 1 processes"),
    ([("workers: 2}", "workers: 2}\n    judged_on: best§")], "recdr.judged_on", "Known: worst, median."),
    ([("      name: tinyshop\n", "")], "recdr.service", "'name' is missing"),
    ([("      edge: http://127.0.0.1:8080/\n", "")], "recdr.service", "'edge' is missing. For example: edge:"),
    ([("edge: http://127.0.0.1:8080/", "edge: 127.0.0.1:8080§")], "recdr.service.edge", "Write it as http://HOST:PORT"),
    ([("edge: http://127.0.0.1:8080/", "edge: http://me:pw@127.0.0.1§")], "recdr.service.edge", "must not hold a password"),
    ([("edge: http://127.0.0.1:8080/", "edge: http://x/?a=1§")], "recdr.service.edge", "has no '?'"),
    ([("edge: http://127.0.0.1:8080/", "edge: http://x:99999§")], "recdr.service.edge", "is no address"),
    ([("      edge: http", "      egde: http§")], "recdr.service.egde", "Did you mean 'edge'?"),
    ([("        primary: http", "        east: http§")], "recdr.service.regions.east", "Known: primary, standby."),
    ([("standby: {url: \"http://127.0.0.1:8082\", headers: {X-Side: b}}", "standby: HTTP://127.0.0.1:8081/"), ("      regions:", "      regions:§")], "recdr.service.regions", "both lead to the same one. Give each its own"),
    ([("{url: \"http://127.0.0.1:8082\", headers", "{headers"), ("standby:", "standby:§")], "recdr.service.regions.standby", "'url' is missing"),
    ([("${env:SHOP_TOKEN}\"", "${env:SHOP_TOKN}\"§")], "recdr.service.headers.Authorization", "variable SHOP_TOKN is not set. Run 'export SHOP_TOKN=...'"),
    ([("X-All: \"1\"", "X-All: 1§")], "recdr.service.headers.X-All", "Put it in quotes."),
    ([("X-All: \"1\"", "\"X All\": \"1\"§")], "recdr.service.headers.X All", "is no name of a header"),
    ([("X-All: \"1\"", "X-All: \"a\\nb\"§")], "recdr.service.headers.X-All", "printable ASCII"),
    ([("        path: /recommend", "        path: recommend§")], "recdr.service.read.path", "does not begin with '/'"),
    ([("        path: /recommend", "        path: /re commend§")], "recdr.service.read.path", "Write them percent-encoded"),
    ([("        path: /recommend\n", "")], "recdr.service.read", "'path' is missing"),
    ([("        path: /recommend", "        path: /recommend\n        method: FETCH§")], "recdr.service.read.method", "Known: GET, POST"),
    ([("        path: /recommend", "        path: /recommend\n        methd: GET§")], "recdr.service.read.methd", "Did you mean 'method'?"),
    ([("body: {user: \"{user}\", k: \"{k}\"}", "body: {user: \"{usr}\"}§")], "recdr.service.read.body", "{usr} is not known. Did you mean 'user'; write {{usr}}"),
    ([("body: {user: \"{user}\", k: \"{k}\"}", "body: {user: \"{user}\", k: \"{id}\"}§")], "recdr.service.read.body", "{id} stands for nothing in a read"),
    ([("body: {user: \"{user}\", k: \"{k}\"}", "body: {k: \"{k}\"}"), ("      read:", "      read:§")], "recdr.service.read", "write personal: false"),
    ([("body: {user: \"{user}\", k: \"{k}\"}", "body: {user: \"{user}\", day: 2020-01-01}§")], "recdr.service.read.body.day", "cannot be sent as JSON. Put it in quotes."),
    ([("body: {user: \"{user}\", k: \"{k}\"}", "body: {user: \"{user:number}\"}§")], "recdr.service.read.body", "user 1 of the list is no number"),
    ([("        path: /recommend", "        path: \"/r/{user:number}\"§")], "recdr.service.read.path", "belongs into a body"),
    ([("        ids: \"$.items[*].id\"\n", ""), ("      read:", "      read:§")], "recdr.service.read", "'ids' is missing"),
    ([("        ids: \"$.items[*].id\"", "        ids: items[*].id§")], "recdr.service.read.ids", "not a JSONPath (RFC 9535)"),
    ([("        ids: \"$.items[*].id\"", "        ids: \"$.items[\"§")], "recdr.service.read.ids", "unexpected end of query"),
    ([("        scores: \"$.items[*].score\"", "        acknowledged: $.a§")], "recdr.service.read.acknowledged", "not known here"),
    ([("{id: \"{id}\", user: \"{user}\", item: \"{item}\"}", "{user: \"{user}\"}"), ("      write:", "      write:§")], "recdr.service.write", "hold {id}. Add it, or drop read_back."),
    ([(WRITE, ""), ("      read_back:", "      read_back:§")], "recdr.service.read_back", "has no 'write'"),
    ([("after={cursor}", "after=0"), ("      read_back:", "      read_back:§")], "recdr.service.read_back", "nothing holds {cursor}"),
    ([("        next: \"$.next\"\n", ""), ("      read_back:", "      read_back:§")], "recdr.service.read_back", "'next' is missing"),
    ([("after={cursor}", "after={cursor}&id={id}"), ("      read_back:", "      read_back:§")], "recdr.service.read_back", "Keep one of them."),
    ([("        ids: \"$.events[*].id\"\n", ""), ("      read_back:", "      read_back:§")], "recdr.service.read_back", "'ids' is missing"),
    ([("{header: X-Region,", "{header: X-Region, json: $.r,§")], "recdr.service.region", "either 'header' or 'json'"),
    ([("{eu: primary}", "{eu: east}§")], "recdr.service.region.names.eu", "Known: primary, standby."),
    ([(f"      {USERS}\n", "")], "recdr.service", "'users' is missing"),
    ([(USERS, "users: {count: 1, prefix: u}§")], "recdr.service.users", "fewer than 2 users"),
    ([(USERS, "users: [anna, anna]§")], "recdr.service.users", "fewer than 2 users"),
    ([(USERS, "users: []§")], "recdr.service.users", "there are no users"),
    ([(USERS, "users: [anna, [1]]§")], "recdr.service.users[1]", "one of the users is text"),
    ([(USERS, "users: {prefix: u}§")], "recdr.service.users", "'count' is missing"),
    ([(USERS, "users: {count: 2.5}§")], "recdr.service.users.count", "a whole number"),
    ([(USERS, "users: {file: nobody.txt}§")], "recdr.service.users.file", "nobody.txt cannot be read: No such file"),
    ([(USERS, "users: {file: empty.txt}§")], "recdr.service.users.file", "empty.txt is empty. It holds one name a line."),
    ([(USERS, "users: {file: one.txt}§")], "recdr.service.users", "fewer than 2 users"),
    ([(USERS, "users: {file: .}§")], "recdr.service.users.file", "is not a file"),
    ([("      items: [1, two]\n", ""), ("      write:", "      write:§")], "recdr.service.write", "it holds {item}, and 'items' is missing. Add items:"),
    ([("      queries: {file: queries.txt}\n", ""), ("      search:", "      search:§")], "recdr.service.search", "'queries' is missing"),
    ([("held_out: {file: held_out.jsonl}", "held_out: {file: broken.jsonl}§")], "recdr.service.held_out.file", "broken.jsonl:2: "),
    ([("held_out: {file: held_out.jsonl}", "held_out: {file: empty.txt}§")], "recdr.service.held_out.file", "holds no user with items"),
    ([("held_out: {file: held_out.jsonl}", "personal: 1§\n      held_out: {file: held_out.jsonl}")], "recdr.service.personal", "true or false"),
    ([("deploy: {command: [./up.sh, now], timeout_s: 5}", "deploy: {command: ./up.sh now}§")], "recdr.service.hooks.deploy.command", "Write [./up.sh, now]."),
    ([("deploy: {command: [./up.sh, now], timeout_s: 5}", "deploy: {command: [./nope.sh]}§")], "recdr.service.hooks.deploy.command[0]", "there is no file"),
    ([("deploy: {command: [./up.sh, now], timeout_s: 5}", "deply: {command: [./up.sh]}§")], "recdr.service.hooks.deply", "Did you mean 'deploy'?"),
    ([("timeout_s: 5}", "timeout_s: 5s}§")], "recdr.service.hooks.deploy.timeout_s", "Write 5:"),
    ([("{type: http, url: \"http://127.0.0.1:8080/\"}", "{type: http}§")], "recdr.service.hooks.status.provider", "'url' is missing"),
    # objectives that this service cannot show
    ([(WRITE + READ_BACK, ""), ("rpo_events:", "rpo_events:§")], "recdr.objectives.rpo_events", "has no 'write'. Add service.write"),
    ([(READ_BACK, ""), ("rpo_events:", "rpo_events:§")], "recdr.objectives.rpo_events", "has no 'read_back'. Add service.read_back"),
    ([(REGIONS, ""), ("rpo_events:", "rpo_events:§")], "recdr.objectives.rpo_events", "has no 'regions'. Add service.regions"),
    ([("        standby: {url: \"http://127.0.0.1:8082\", headers: {X-Side: b}}\n", ""), ("rpo_events:", "rpo_events:§")], "recdr.objectives.rpo_events", "has no 'regions.standby'. Add service.regions.standby"),
    ([("        primary: http://127.0.0.1:8081\n", ""), ("rpo_events:", "stale_events:§")], "recdr.objectives.stale_events", "Add service.regions.primary"),
    ([(READ_BACK, BY_ID), ("rpo_events:", "duplicated_events:§")], "recdr.objectives.duplicated_events", "which does not tell how often. List the events"),
    ([(READ_BACK, BY_ID.replace("}\n", ", ids: $.id}\n")), ("rpo_events:", "duplicated_events:§")], "recdr.objectives.duplicated_events", "which does not tell how often"),
    ([(WRITE + READ_BACK, ""), ("rpo_events: {max: 0}", "rto_write_s: {max: 1}§")], "recdr.objectives.rto_write_s", "has no 'write'"),
    ([("      region: {header: X-Region, names: {eu: primary}}\n", ""), ("rpo_events: {max: 0}", "split_brain_events: {max: 0}§")], "recdr.objectives.split_brain_events", "has no 'region'"),
    ([(HELD_OUT, ""), ("recall_at_20:", "recall_at_20:§")], "recdr.objectives.recall_at_20", "has no 'held_out'. Add service.held_out (the right answers of some users) or drop the objective."),
]  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        ('standby: {url: "http://127.0.0.1:8082"', 'standby: {url: "http://127.0.0.1:8081"'),
        (READ_BACK, BY_ID.replace("}\n", ', ids: "$.found[*]"}\n')),
    ],
)
def test_doors_that_differ_by_a_header_and_look_ups_that_count_are_fine(file: Path, change: tuple[str, str]) -> None:
    load(written(file, edited(change, ("rpo_events:", "duplicated_events:"))))


@pytest.mark.parametrize(("changes", "key", "said"), [pytest.param(*w, id=f"{i}-{w[1]}") for i, w in enumerate(WRONG)])
def test_a_mistake_is_refused_with_its_line_key_and_remedy(
    file: Path, changes: list[tuple[str, str]], key: str, said: str
) -> None:
    text = edited(*changes)
    lines = [number for number, line in enumerate(text.splitlines(), 1) if "§" in line]
    with pytest.raises(SpecError) as caught:
        load(written(file, text.replace("§", "")))
    assert said in str(caught.value)
    assert caught.value.key == key
    if lines:
        assert caught.value.line == lines[0]


def test_an_external_target_needs_a_service(file: Path) -> None:
    text = SERVICE[: SERVICE.index("    service:")] + SERVICE[SERVICE.index("    objectives:") :]
    with pytest.raises(SpecError, match=r"'service' is missing: how the external target is asked"):
        load(written(file, text))


@pytest.mark.parametrize("change", [("target: external", "target: local"), ("    load:", "    topology: {}\n    load:"), ("path: /recommend", "path: recommend"), ("name: tinyshop", "nmae: tinyshop")])  # fmt: skip
def test_editors_refuse_what_recdr_refuses(change: tuple[str, str]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(edited(change)), json.loads(SCHEMA.read_text()))


def test_those_whose_lists_are_judged_never_shop(file: Path) -> None:
    settings = load(written(file, SERVICE)).service
    assert settings is not None
    known = Audience.of_service(settings, 200, 20)
    assert {question["user"] for question in known.evaluation} == {"user-1", "99"}
    assert {tuple(question["expected"]) for question in known.evaluation} == {("two",), ("1",)}
    assert sorted(known.shoppers) == ["user-0", "user-2", "user-3", "user-4", "user-5"]
    assert known == Audience.of_service(settings, 200, 20)


@pytest.mark.parametrize("count", [2, 3, 200])
def test_without_held_out_truth_at_most_half_of_the_users_are_judged(file: Path, count: int) -> None:
    text = edited((HELD_OUT, ""), (USERS, f"users: {{count: {count}}}"), ("      recall_at_20: {min: 0.1}\n", ""))
    settings = load(written(file, text)).service
    assert settings is not None
    audience = Audience.of_service(settings, 200, 20)
    judged = {question["user"] for question in audience.evaluation}
    assert len(judged) == count // 2
    assert judged.isdisjoint(audience.shoppers)
    assert len(judged) + len(audience.shoppers) == count
    assert all(question["expected"] == [] for question in audience.evaluation)
