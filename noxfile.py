"""recdr's chores. ``nox -s tests`` sets up everything it needs and runs all tests."""

from __future__ import annotations

import nox

nox.options.sessions = ["lint", "types", "tests"]
nox.options.reuse_existing_virtualenvs = True

CODE = ("drills", "recsvc", "reports", "tests", "noxfile.py")
# Tests that measure no time and deploy nothing share the machine's cores; all others have it to themselves.
SIDE_BY_SIDE = (
    *("tests/reports", "tests/schedule", "tests/measures", "tests/baseline", "tests/recording"),
    *("tests/test_imports.py", "tests/test_spec.py", "tests/test_spec_service.py", "tests/test_compare.py"),
    *("tests/test_experiments.py", "tests/test_history.py", "tests/test_judging.py", "tests/test_ranks.py"),
    *("tests/test_over_trials.py", "tests/test_verdict.py", "tests/test_jitter.py"),
    *("tests/recsvc/data", "tests/recsvc/baselines", "tests/recsvc/test_tables.py", "tests/recsvc/test_windows.py"),
)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format with ruff."""
    session.install("ruff>=0.9")
    session.run("ruff", "check", *CODE)
    session.run("ruff", "format", "--check", *CODE)


@nox.session
def types(session: nox.Session) -> None:
    """Check types with mypy, strictly."""
    session.install("-e", ".[tests]", "mypy>=1.14", "types-PyYAML", "types-jsonschema")
    session.run("mypy")


@nox.session
def tests(session: nox.Session) -> None:
    """Run every test: real stores, traffic director, namespaces and model; pass -m 'not lab' for the quick ones."""
    session.install("-e", ".[tests]")
    if session.posargs:
        session.run("pytest", *session.posargs)
        return
    session.run("pytest", "-n", "auto", "--dist", "loadfile", *SIDE_BY_SIDE)
    session.run("pytest", *(f"--ignore={path}" for path in SIDE_BY_SIDE))


@nox.session
def drill(session: nox.Session) -> None:
    """Install recdr as a user would and run one drill (default: failover.yaml)."""
    session.install(".")
    session.run("recdr", "drill", "run", *(session.posargs or ["failover.yaml"]))


@nox.session
def nightly(session: nox.Session) -> None:
    """Install recdr as a user would and run the drills tagged nightly as one suite; more options may follow --."""
    session.install(".")
    session.run("recdr", "drill", "run", "--tag", "nightly", *session.posargs)


@nox.session
def chaos(session: nox.Session) -> None:
    """Kill and stop recdr's own processes at random moments, sixty times (about half an hour), and see what is left."""
    session.install("-e", ".[tests]")
    session.run("python", "-m", "tests.chaos", *(session.posargs or ["--runs", "60", "--seed", "1"]))


@nox.session
def bench(session: nox.Session) -> None:
    """Measure and print speeds; never part of the tests."""
    session.install("-e", ".[tests]")
    session.run("python", "-m", "tests.bench", *session.posargs)
