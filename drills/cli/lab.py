"""``recdr up``, ``recdr status``, ``recdr down``: a lab that stays until it is told to go."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.table import Table

from drills import model
from drills.cli.arguments import Model
from drills.cli.terminal import ERR, OUT, Lines, warn
from drills.errors import EXIT_FAIL, EXIT_UNKNOWN, UsageError
from drills.home import cache
from drills.interruption import interruptible
from drills.spec import Region, Topology
from drills.targets.base import REGIONS
from drills.targets.local.standing import choose_accelerator, exclusive, standing, standing_dir
from drills.targets.local.standing import down as end
from drills.targets.local.target import LocalTarget
from recsvc.bundle import Bundle

AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON document on stdout, and nothing else there.")]


def up(
    primary_nodes: Annotated[int, typer.Option(min=1, max=16, help="Nodes of the primary region.")] = 2,
    standby_nodes: Annotated[int, typer.Option(min=1, max=16, help="Nodes of the standby region.")] = 2,
    replication: Annotated[str, typer.Option(help="async, semisync or sync.", metavar="MODE")] = "semisync",
    accelerator: Annotated[str, typer.Option(help="auto, cuda, cpu or simulated.", metavar="KIND")] = "auto",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the edge on 127.0.0.1; 0: a free one.")] = 0,
    which: Model = None,
    as_json: AsJson = False,
) -> None:
    """Deploy a lab that stays: two regions and an edge, for drills and for looking around. End it with recdr down."""
    if replication not in ("async", "semisync", "sync"):
        raise UsageError(f"--replication {replication}: choose async, semisync or sync")
    if accelerator not in ("auto", "cuda", "cpu", "simulated"):
        raise UsageError(f"--accelerator {accelerator}: choose auto, cuda, cpu or simulated")
    if standing() is not None:
        raise UsageError("a lab is up already: see 'recdr status', or end it with 'recdr down'")
    lines = Lines()
    bundle = model.prepare(cache(), lines.progress, which)
    topology = Topology(
        primary=Region(nodes=primary_nodes),
        standby=Region(nodes=standby_nodes),
        replication=replication,
        accelerator=choose_accelerator(None, accelerator),
    )
    with exclusive(standing_dir()):
        if standing() is not None:
            raise UsageError("a lab came up meanwhile: see 'recdr status'")
        lab = LocalTarget(standing_dir(), bundle, ephemeral=False, port=port, progress=lines.progress)
        with interruptible("nothing of the lab is left"):
            deployment = lab.deploy(topology)
    if as_json:
        OUT.print_json(json.dumps({"edge_url": deployment.edge_url, "nodes": deployment.nodes, **deployment.about}))
        return
    OUT.print(f"The lab is up: {deployment.edge_url} (deployed in {deployment.about['deploy_seconds']} s)")
    loaded = Bundle.load(bundle)
    if loaded.cut_short:
        warn(f"the training of its model {loaded.version} was cut short {loaded.cut_short}: see 'recdr model show'")
    user = next(iter(loaded.histories), "anybody")
    asked = json.dumps({"user": user, "k": 5})
    json_type = "-H 'Content-Type: application/json'"
    OUT.print(f"Try: curl -s {deployment.edge_url}/v1/recommend {json_type} -d '{asked}'", soft_wrap=True)


def status(as_json: AsJson = False) -> None:
    """Show the lab that is up: nodes, accelerators, master, what is broken. Exits 1 if something is, 3 if no lab."""
    lab = standing()
    if lab is None:
        if as_json:
            OUT.print_json(json.dumps({"up": False}))
        else:
            ERR.print("no lab is up: start one with 'recdr up'")
        raise typer.Exit(EXIT_UNKNOWN)
    state = lab.status()
    nodes = {node: lab.observe(node) for region in REGIONS for node in lab.nodes_of(region)}
    healthy = all((seen or {}).get("ready") for seen in nodes.values()) and not (state["broken"] or state["lost"])
    if as_json:
        document = {
            "up": True,
            "healthy": healthy,
            "edge_url": lab.deployment.edge_url,
            **state,
            "nodes": nodes,
        }
        OUT.print_json(json.dumps({**document, "pid_one": lab.deployment.about.get("pid_one")}))
    else:
        _print_status(lab, state, nodes)
    if not healthy:
        raise typer.Exit(EXIT_FAIL)


def _print_status(lab: LocalTarget, state: dict[str, list[str]], nodes: dict[str, dict[str, object] | None]) -> None:
    OUT.print(f"edge      {lab.deployment.edge_url}   PID 1 of the lab: {lab.deployment.about.get('pid_one')}")
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("node", "state", "accelerator", "store", "takes writes"):
        table.add_column(name)
    for node, seen in nodes.items():
        if seen is None:
            table.add_row(node, "[red]no answer[/red]", "-", "-", "-")
            continue
        ready = "[green]ready[/green]" if seen.get("ready") else "[yellow]not ready[/yellow]"
        accelerator = f"{seen.get('accelerator')} {seen.get('accelerator_state')}"
        table.add_row(node, ready, accelerator, str(seen.get("store_role")), "yes" if seen.get("writable") else "no")
    OUT.print(table)
    broken = [*(f"region {region} is lost" for region in state["lost"]), *state["broken"]]
    OUT.print("broken    " + ("; ".join(broken) or "nothing"))


def down() -> None:
    """End the lab that is up: every process, network and mount of it goes."""
    OUT.print("The lab is gone." if end() else "No lab was up.")
