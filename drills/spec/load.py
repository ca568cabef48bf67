"""From the path of a drill file to a ``Drill``, or to the one SpecError that says what to put right first."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from drills import privacy
from drills.spec.audience import Beside
from drills.spec.document import EXTENSION, Document, Where, read
from drills.spec.method import pauses_s, read_method
from drills.spec.model import Drill, FaultUse, Guard, Mix, ServiceSettings, Settings, Variant
from drills.spec.notify import read_notify
from drills.spec.objectives import read_objectives
from drills.spec.registries import faults
from drills.spec.rules import close_to, mapping, nearest, only_keys, read_settings, sequence, text
from drills.spec.service import read_service

TOP_LEVEL = (
    "title", "description", "version", "tags", "contributions", "configuration", "secrets", "method",
    "rollbacks", "steady-state-hypothesis", "controls", "runtime", "extensions", "dry",
)  # fmt: skip


def load(path: Path | str, *, recorded: bool = False) -> Drill:
    """Read and check a drill file completely; nothing is deployed or imported from it. Raises SpecError.

    ``recorded``: the file is a run's own copy; what stood beside the drill (users, the environment) is not asked for.
    """
    doc = read(Path(path))
    if not recorded:
        privacy.learn_drill(doc.data)
    about = _about(doc)
    extension = _extension(doc)
    written = read_settings(Settings, doc, extension, beside=("name", "service", "variants", "objectives", "notify"))
    settings = Settings(**written)
    service = _service(doc, extension, settings.target, Beside(Path(path).absolute().parent, not recorded))
    if service is not None and not recorded:
        privacy.learn(people=_named(service, doc.value((*extension, "service", "users"))))
    _check_mix(doc, (*extension, "load", "mix"), settings.load.mix)
    _check_guard(doc, (*extension, "guard"), settings.guard)
    configuration = mapping(doc, ("configuration",)) if "configuration" in doc.data else {}
    variants = _variants(doc, extension, configuration)
    if "objectives" not in mapping(doc, extension):
        problem = "'objectives' is missing: what the drill is judged by"
        raise doc.error(extension, problem, "For example: rto_read_s: {max: 2}")
    objectives = read_objectives(doc, (*extension, "objectives"), settings, service)
    configurations = [configuration, *({**configuration, **variant.configuration} for variant in variants)]
    injections = tuple(read_method(doc, settings.topology, values) for values in configurations)
    _check_load(doc, extension, settings, injections)
    for values in configurations:
        _check_duration(doc, extension, settings, pauses_s(doc, values))
    written["notify"] = read_notify(doc, extension)
    written["trials"] = _trials(doc, extension, written.get("trials"), variants)
    return Drill(
        **about,
        **written,
        path=Path(path),
        service=service,
        experiment=doc.data,
        variants=variants,
        objectives=objectives,
        injections=injections,
    )


def _named(service: ServiceSettings, users: Any) -> Iterable[str]:
    """The users that somebody named; those that recdr counts up (``{count: 200, prefix: user-}``) are nobody's."""
    counted = isinstance(users, dict) and "count" in users
    return service.held_out if counted else {*service.users, *service.held_out}


def _check_load(doc: Document, extension: Where, settings: Settings, injections: Iterable[Iterable[FaultUse]]) -> None:
    """A fault that multiplies the load needs one."""
    needing = {use.name for uses in injections for use in uses if getattr(faults()[use.name], "needs_load", False)}
    if needing and settings.load.rate == 0:
        problem = f"{min(needing)} multiplies the load, and this drill has none"
        raise doc.error((*extension, "load", "rate"), problem, "Give it a rate above 0.")


def _about(doc: Document) -> dict[str, Any]:
    """Title, description, tags and contributions; a misspelt or misleading top-level key is refused."""
    for key in doc.data:
        if key not in TOP_LEVEL and close_to(key, TOP_LEVEL, cutoff=0.75):
            raise doc.error((key,), "Chaos Toolkit would ignore this key.", nearest(key, TOP_LEVEL))
    if "dry" in doc.data:
        problem = "Chaos Toolkit ignores 'dry' in a file and would run everything for real"
        raise doc.error(("dry",), problem, "Remove it; 'recdr drill validate' checks without running.")
    for key in ("title", "description"):
        if key not in doc.data:
            raise doc.error((), f"{key!r} is missing", "Chaos Toolkit and the report need it.")
    tags = sequence(doc, ("tags",)) if "tags" in doc.data else []
    contributions = mapping(doc, ("contributions",)) if "contributions" in doc.data else {}
    return {
        "title": text(doc, ("title",), "the title").strip(),
        "description": text(doc, ("description",), "the description").strip(),
        "tags": tuple(text(doc, ("tags", i), "a tag") for i in range(len(tags))),
        "contributions": {key: text(doc, ("contributions", key), "a contribution") for key in contributions},
    }


def _extension(doc: Document) -> Where:
    """Where the recdr extension stands; there must be exactly one."""
    remedy = f"Add 'extensions: [{{name: {EXTENSION}, objectives: ...}}]'; see docs/drills.md."
    if "extensions" not in doc.data:
        problem = "this is a plain Chaos Toolkit experiment: it has no recdr extension"
        raise doc.error((), problem, remedy)
    names: list[Any] = []
    for position in range(len(sequence(doc, ("extensions",)))):
        extension = mapping(doc, ("extensions", position))
        if "name" not in extension:
            raise doc.error(("extensions", position), "'name' is missing", f"Write name: {EXTENSION}.")
        names.append(extension["name"])
        if names.count(EXTENSION) > 1:
            raise doc.error(("extensions", position), "there are two recdr extensions", "Merge them.")
    if EXTENSION not in names:
        problem = f"none of the extensions is called {EXTENSION!r}"
        for position, name in enumerate(names):
            if isinstance(name, str) and close_to(name, [EXTENSION]):
                raise doc.error(("extensions", position, "name"), problem, f"Is {name!r} a misspelling?")
        raise doc.error(("extensions",), problem, remedy)
    return ("extensions", names.index(EXTENSION))


def _service(doc: Document, extension: Where, target: str, beside: Beside) -> ServiceSettings | None:
    """The service of an external target; None for the lab, which has a topology instead."""
    written, where = mapping(doc, extension), (*extension, "service")
    if target == "external":
        if "service" not in written:
            problem = "'service' is missing: how the external target is asked"
            raise doc.error(extension, problem, "See docs/drills.md; or write target: local for recdr's own lab.")
        if "topology" in written:
            problem = "recdr does not deploy an external target, so it has no topology here"
            raise doc.error((*extension, "topology"), problem, "Remove it.")
        return read_service(doc, where, beside)
    if "service" in written:
        problem = "a service is described, and the target is recdr's own lab"
        raise doc.error(where, problem, "Write target: external, or remove it.")
    return None


def _check_mix(doc: Document, where: Where, mix: Mix) -> None:
    total = mix.recommend + mix.search + mix.event
    if abs(total - 1) > 1e-6:
        raise doc.error(where, f"the shares sum to {total:g}, not to 1")


def _check_guard(doc: Document, where: Where, guard: Guard) -> None:
    if guard.abort_if is not None and guard.abort_if.for_s >= guard.max_duration_s:
        problem = f"a trial ends after {guard.max_duration_s:g} seconds, so this can never abort one"
        raise doc.error((*where, "abort_if", "for_s"), problem)


def _variants(doc: Document, extension: Where, configuration: dict[str, Any]) -> tuple[Variant, ...]:
    where = (*extension, "variants")
    if "variants" not in mapping(doc, extension):
        return ()
    found: list[Variant] = []
    for position in range(len(sequence(doc, where))):
        variant = _variant(doc, (*where, position), configuration)
        if variant.name in [other.name for other in found]:
            raise doc.error((*where, position, "name"), f"two variants are called {variant.name!r}")
        found.append(variant)
    if not found:
        raise doc.error(where, "the list is empty", "Leave 'variants' out to run the drill as it is.")
    return tuple(found)


def _variant(doc: Document, where: Where, configuration: dict[str, Any]) -> Variant:
    written = mapping(doc, where)
    only_keys(doc, where, ("name", "configuration"))
    for key in ("name", "configuration"):
        if key not in written:
            raise doc.error(where, f"{key!r} is missing", "A variant is {name: ..., configuration: {...}}.")
    values = mapping(doc, (*where, "configuration"))
    for key in values:
        if key not in configuration:
            problem = "this key is not in the experiment's configuration, so it would change nothing."
            raise doc.error((*where, "configuration", key), problem, nearest(key, configuration))
    return Variant(text(doc, (*where, "name"), "the name of a variant"), values)


def _trials(doc: Document, extension: Where, written: int | None, variants: tuple[Variant, ...]) -> int:
    """The number of trials: as written, else one a variant."""
    if written is None:
        return max(1, len(variants))
    if written < len(variants):
        problem = f"{len(variants)} variants need as many trials, or some never run"
        raise doc.error((*extension, "trials"), problem, "Leave 'trials' out to run each variant once.")
    return written


def _check_duration(doc: Document, extension: Where, settings: Settings, pauses: float) -> None:
    planned = settings.settle_s + pauses + settings.tail_s
    if planned >= settings.guard.max_duration_s:
        problem = f"settle_s, pauses and tail_s take {planned:g} seconds, so the guard would always abort"
        remedy = f"max_duration_s is {settings.guard.max_duration_s:g}; leave room for deploying and healing."
        raise doc.error((*extension, "guard", "max_duration_s"), problem, remedy)
