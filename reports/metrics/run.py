"""What a run was, and what it came to."""

from __future__ import annotations

from reports import cleaning, wall
from reports.facts import Facts
from reports.metrics.families import Tell

OUTCOMES = ("PASS", "FAIL", "UNKNOWN")


def tell(facts: Facts, sample: Tell) -> None:
    meta, model = facts.meta, facts.model
    sample(
        "recdr_run_info",
        1.0,
        run=facts.run,
        title=facts.title,
        target=cleaning.mapping(meta.get("target")).get("kind"),
        accelerator=_accelerator(meta.get("accelerator")),
        replication=facts.replication,
        model=model.get("version"),
        data="synthetic" if facts.synthetic else model.get("data_source"),
        faults=", ".join(use.fault for use in facts.faults),
        simulated=", ".join(use.fault for use in facts.simulated),
        baseline=facts.baseline.get("id"),
        judged_on=facts.judged_on,
        seed=cleaning.mapping(meta.get("seeds")).get("run"),
        version=cleaning.mapping(meta.get("versions")).get("recdr"),
        drill_sha256=facts.drill_sha256,
    )
    for outcome in OUTCOMES:
        sample("recdr_drill_outcome", float((facts.outcome if facts.judged else "UNKNOWN") == outcome), outcome=outcome)
    sample("recdr_drill_judged", float(facts.judged))
    for name, moment in (("start", wall.start_ns(facts)), ("end", wall.end_ns(facts))):
        sample(f"recdr_run_{name}_timestamp_seconds", None if moment is None else moment / 1e9)
    sample("recdr_run_trials", float(len(facts.trials)))
    sample("recdr_run_gaps", float(len(facts.missing)))
    for trial in facts.trials:
        own = {"trial": trial.number, "variant": trial.variant}
        for outcome in OUTCOMES:
            sample("recdr_trial_outcome", float(trial.outcome == outcome), **own, outcome=outcome)
        for name, (held, _) in (("fault_effect_observed", trial.effect), ("heal_confirmed", trial.healing)):
            sample(f"recdr_{name}", None if held is None else float(held), **own)


def _accelerator(raw: object) -> object:
    return raw.get("used") if isinstance(raw, dict) else raw
