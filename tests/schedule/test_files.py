"""Each file by the schema or parser of the system that it is for, with plain and with awkward values in it."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from drills import spec
from drills.errors import UsageError
from drills.schedule import Wanted, files, plan
from tests.command import recdr

BIN = Path(sys.executable).parent
AWKWARD = 'it\'s $(odd) "%h" `x` & | # drill.yaml'


def wanted(**more: Any) -> Wanted:
    plain: dict[str, Any] = {
        "names": [],
        "tags": ["nightly"],
        "cron": "17 3 * * *",
        "zone": "UTC",
        "install": "recdr==0.1.0",
        "version": "0.1.0",
        "python": "3.12",
        "command": "recdr schedule github --cron '17 3 * * *' --tag nightly",
        "image": "registry.example/recdr:0.1.0",
    }
    return Wanted(**(plain | more))


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a drill of one's own service, which takes a token, under a name that shells and YAML trip over."""
    drill = yaml.safe_load((Path(__file__).resolve().parents[2] / "experiments/external/external.yaml").read_text())
    service = drill["extensions"][0]["service"]
    service["headers"] = {"Authorization": "Bearer ${env:SHOP_TOKEN}"}
    folder = tmp_path_factory.mktemp("repository")
    for name in (AWKWARD, "shop.yaml"):
        (folder / name).write_text(yaml.safe_dump(drill, sort_keys=False))
    (folder / "mine.yaml").write_text(spec.find("failover.yaml").read_text())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


CASES: dict[str, dict[str, Any]] = {
    "nightly": {},
    "one": {"names": ["mine.yaml"], "tags": []},
    "awkward": {"names": [AWKWARD], "tags": [], "trials": 4, "require_baseline": True},
    "from git": {"install": "git+https://git.example/recdr@v0.1.0#egg=recdr", "zone": "Europe/Berlin"},
    "both days": {"cron": "0 3 1 * MON", "name": "drills-2", "install": "./dist/recdr 0.1.whl"},
}


@cache
def made(system: str, case: str) -> dict[str, str]:
    return files(system, plan(wanted(**CASES[case])))


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, repository: Path) -> str:
    """Each of the cases, in the repository."""
    return str(request.param)


def test_github_accepts_the_workflow(case: str, tmp_path: Path) -> None:
    path = tmp_path / "workflow.yml"
    path.write_text(made("github", case)["github.yaml"])
    check_schema("vendor.github-workflows", path)
    if shutil.which("actionlint"):
        subprocess.run(["actionlint", str(path)], check=True)
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"]["cancel-in-progress"] is False
    job = workflow["jobs"]["drills"]
    drills = next(step for step in job["steps"] if step.get("id") == "drills")
    assert job["timeout-minutes"] > drills["timeout-minutes"], "what comes after a drill must get its time, too"
    assert all(re.fullmatch(r"actions/[\w/-]+@v\d+", step["uses"]) for step in job["steps"] if "uses" in step)


def test_gitlab_accepts_the_job(case: str, tmp_path: Path) -> None:
    path = tmp_path / "gitlab-ci.yml"
    path.write_text(made("gitlab", case)["gitlab.yaml"])
    check_schema("vendor.gitlab-ci", path, "--data-transform", "gitlab-ci")
    (job,) = yaml.safe_load(path.read_text()).values()
    assert job["artifacts"]["when"] == "always"
    assert job["interruptible"] is False
    assert job["resource_group"] == "recdr-drills"


def test_kubernetes_accepts_the_cronjob(case: str, tmp_path: Path, repository: Path) -> None:
    if case == "awkward":
        text = files("cronjob", plan(wanted(names=["shop.yaml"], tags=[])))["cronjob.yaml"]
    else:
        text = made("cronjob", case)["cronjob.yaml"]
    path = tmp_path / "cronjob.yaml"
    path.write_text(text)
    subprocess.run([BIN / "kubernetes-validate", "--strict", "--quiet", "-k", "1.33", path], check=True)
    documents = list(yaml.safe_load_all(text))
    names = [one["kind"] for one in documents]
    assert ("ConfigMap" in names) == (case in ("one", "awkward"))
    for one in documents:
        if one["kind"] == "ConfigMap":
            (name,) = one["data"]
            assert one["data"][name] == (repository / name).read_text()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_accepts_the_units(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    python = home / ".local/share/recdr/0.1.0-python3.12/bin"
    python.mkdir(parents=True)
    (python / "recdr").symlink_to("/bin/true")
    units = tmp_path / "units"
    units.mkdir()
    for name, text in made("systemd", case).items():
        (units / name).write_text(text)
    environment = {"HOME": str(home), "XDG_RUNTIME_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    argv = ["systemd-analyze", "--user", "--man=no", "--recursive-errors=no", "verify", *map(str, units.iterdir())]
    said = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")


def test_what_systemd_starts_is_what_was_asked_for(repository: Path) -> None:
    """Its quotes undone by its own rules: backslashes in double quotes, and %% and $$ for one."""
    service = made("systemd", "awkward")["recdr-it-s-odd-h-x-drill.service"]
    (line,) = (line for line in service.splitlines() if line.startswith("ExecStart="))
    words = re.findall(r'"((?:[^"\\]|\\.)*)"|(\S+)', line.removeprefix("ExecStart="))
    argv = [re.sub(r"\\(.)", r"\1", a or b).replace("%%", "%").replace("$$", "$") for a, b in words]
    assert argv[-6:] == ["drill", "run", str(repository / AWKWARD), "--trials", "4", "--require-baseline"]
    assert argv[:2] == ["/usr/bin/flock", "--no-fork"]


def scripts(system: str, case: str) -> Iterator[str]:
    """The shell scripts in the file."""
    text = next(iter(made(system, case).values()))
    if system == "github":
        yield from (step["run"] for step in yaml.safe_load(text)["jobs"]["drills"]["steps"] if "run" in step)
    else:
        (job,) = yaml.safe_load(text).values()
        yield "\n".join([*job["before_script"], *job["script"]])
        yield "\n".join(job["after_script"])


@pytest.mark.parametrize("system", ["github", "gitlab"])
def test_the_shell_reads_every_script(system: str, case: str) -> None:
    for script in scripts(system, case):
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
        if shutil.which("shellcheck"):
            subprocess.run(
                ["shellcheck", "--shell=bash", "--exclude=SC2164,SC2016", "-"], input=script, text=True, check=True
            )


def test_a_name_full_of_traps_reaches_recdr_as_it_is(repository: Path) -> None:
    (script,) = (script for script in scripts("github", "awkward") if "drill run" in script)
    expected = ["exec", "recdr", "drill", "run", AWKWARD, "--trials", "4", "--require-baseline"]
    assert shlex.split(script) == [*expected, "--annotations", "github"]


def test_secrets_come_from_where_the_system_keeps_them(repository: Path) -> None:
    steps = yaml.safe_load(made("github", "awkward")["github.yaml"])["jobs"]["drills"]["steps"]
    given = {step["name"]: step.get("env") for step in steps if "name" in step}
    secret = {"SHOP_TOKEN": "${{ secrets.SHOP_TOKEN }}"}
    assert secret.items() <= given["Run the drills"].items()
    assert given["Run the drills"]["RECDR_NOTIFY"] == "${{ secrets.RECDR_NOTIFY }}"
    assert given["Heal what a drill left broken"] == secret
    assert given["Install recdr"] is None
    assert "EnvironmentFile=-%h/.config/recdr/environment" in "".join(made("systemd", "awkward").values())


def test_namespaces_are_allowed_only_where_a_lab_needs_them(repository: Path) -> None:
    assert "apparmor_restrict_unprivileged_userns" in made("github", "nightly")["github.yaml"]
    assert "apparmor_restrict_unprivileged_userns" not in made("github", "awkward")["github.yaml"]


def test_a_drill_gets_more_time_than_its_guard_gives_it(repository: Path) -> None:
    drill = spec.load("mine.yaml")
    job = plan(wanted(names=["mine.yaml"], tags=[], trials=10))
    assert job.limit_s > 10 * drill.guard.max_duration_s + 600


@pytest.mark.parametrize(
    ("system", "more", "said"),
    [
        ("github", {"names": ["/tmp/../etc/mine.yaml"], "tags": []}, "there is no such file"),
        ("github", {"install": "${{ secrets.X }}"}, "GitHub would read"),
        ("github", {"cron": "* * * * *"}, "every 60 s; GitHub starts nothing more often than every 5 minutes"),
        ("github", {"name": "Up Case"}, "--name 'Up Case'"),
        ("github", {"python": "3.12; rm -rf /"}, "--python"),
        ("github", {"zone": "Mars/Base"}, "--timezone 'Mars/Base': no such time zone"),
        ("github", {"install": "a\nb"}, "control characters"),
        ("github", {"tags": []}, "name a drill"),
        ("github", {"tags": ["nihgtly"]}, "Did you mean 'nightly'?"),
        ("cronjob", {"image": ""}, "--image is missing"),
        ("cronjob", {"names": [AWKWARD], "tags": []}, "Rename it"),
    ],
)
def test_what_cannot_be_scheduled_is_refused(system: str, more: dict[str, Any], said: str, repository: Path) -> None:
    with pytest.raises(UsageError) as refused:
        files(system, plan(wanted(**more)))
    assert said in str(refused.value)


def test_a_drill_outside_the_repository_is_refused(repository: Path) -> None:
    for system in ("github", "gitlab"):
        with pytest.raises(UsageError, match="runs what is in the repository"):
            files(system, plan(wanted(names=[str(repository / "mine.yaml")], tags=[])))


def test_the_command_prints_the_file_and_says_when(tmp_path: Path) -> None:
    ended = recdr(tmp_path, "schedule", "github", "--cron", "17 3 * * *", "--tag", "nightly")
    assert ended.returncode == 0
    assert yaml.safe_load(ended.stdout)["name"] == "Disaster-recovery drills (recdr-nightly)"
    assert ended.stdout.splitlines()[1] == "#   recdr schedule github --cron '17 3 * * *' --tag nightly"
    assert len(re.findall(r"\d{4}-\d\d-\d\d 03:17", ended.stderr)) == 3
    assert "UTC, as GitHub's clock is" in ended.stderr


def test_files_of_its_own_are_written_again_and_no_others(tmp_path: Path) -> None:
    arguments = ("schedule", "systemd", "--cron", "17 3 * * *", "failover", "--out", str(tmp_path / "units"))
    for _ in range(2):
        assert recdr(tmp_path, *arguments).returncode == 0
    assert {path.name for path in (tmp_path / "units").iterdir()} == {"recdr-failover.service", "recdr-failover.timer"}
    (tmp_path / "units" / "recdr-failover.timer").write_text("[Timer]\n")
    (tmp_path / "units" / "recdr-failover.service").unlink()
    refused = recdr(tmp_path, *arguments)
    assert refused.returncode == 2
    assert "was not made by this command" in refused.stderr
    assert not (tmp_path / "units" / "recdr-failover.service").exists(), "nothing is written by half"


@pytest.mark.parametrize(
    ("system", "given", "said"),
    [
        ("github", ("--image", "x/y:1"), "--image is for cronjob"),
        ("cronjob", (), "--image is missing"),
        ("systemd", ("--out", "{there}"), "this is a file; name the folder"),
        ("nomad", (), "'nomad' is not one of"),
    ],
)
def test_what_does_not_fit_is_refused(system: str, given: tuple[str, ...], said: str, tmp_path: Path) -> None:
    there = tmp_path / "there.txt"
    there.write_text("mine")
    words = [word.format(there=there) for word in given]
    refused = recdr(tmp_path, "schedule", system, "--cron", "17 3 * * *", "failover", *words)
    assert refused.returncode == 2
    assert said in " ".join(refused.stderr.replace("│", " ").split())
    assert there.read_text() == "mine"


def check_schema(schema: str, path: Path, *more: str) -> None:
    argv = [BIN / "check-jsonschema", "--builtin-schema", schema, *more, path, "--output-format", "json"]
    said = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert said.returncode == 0, json.loads(said.stdout)
