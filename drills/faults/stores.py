"""Looks at the regions' stores from the edge that several faults share."""

from __future__ import annotations

from drills.faults.base import Evidence
from drills.targets.base import REGIONS, StoreSeeable, StoreSeen

ROLES = {"master": "the master", "slave": "a replica"}


def in_step(target: StoreSeeable) -> Evidence:
    """Observed: both stores answer from the edge, one is the master, the other its replica and linked to it."""
    seen = {region: target.see_store(region) for region in REGIONS}
    for region, store in seen.items():
        if store.info is None:
            return Evidence(False, f"the store of {region} does not answer from the edge")
        if store.info.get("loading") != "0":
            return Evidence(False, f"the store of {region} is still loading its data")
    masters = [region for region, store in seen.items() if role(store) == "master"]
    if len(masters) != 1:
        return Evidence(False, f"{len(masters)} of the 2 stores say that they are the master")
    replica = next(region for region in REGIONS if region not in masters)
    info = seen[replica].info or {}
    if info.get("master_link_status") != "up" or info.get("master_sync_in_progress") != "0":
        return Evidence(False, f"the store of {replica} has no link to its master yet")
    return Evidence(True, f"the store of {masters[0]} is the master, that of {replica} is linked to it")


def role(store: StoreSeen) -> str:
    """``master`` or ``slave``; empty where it does not answer."""
    return (store.info or {}).get("role", "")
