"""Which precision a node computes in, and that it says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsvc import bundle as bundles
from recsvc import precision, variants
from recsvc.accelerator import Boundary
from recsvc.accelerator import opening as accelerators
from recsvc.bundle import Bundle, BundleError, Precision
from recsvc.precision import choose
from recsvc.release import Opening, Refused
from tests.recsvc.serving import tiny_bundle
from tests.recsvc.serving.cluster import Cluster


@pytest.fixture(scope="module")
def with_variants(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tiny_bundle.write(tmp_path_factory.mktemp("variants") / "tiny")
    asked = np.arange(1, 31).reshape(6, 5)
    losses = variants.write_variants(folder, asked, list(asked), np.arange(31, 37))
    return resealed(folder, variants=losses)


def resealed(folder: Path, **more: Any) -> Path:
    manifest = json.loads((folder / bundles.MANIFEST).read_text())
    names = [name for name in (*bundles.PAYLOAD, *bundles.OPTIONAL) if (folder / name).exists()]
    digests = {name: bundles.file_sha256(folder / name) for name in names}
    manifest |= {"version": bundles.content_version(digests), **more}
    manifest["files"] = {name: {"sha256": digest} for name, digest in digests.items()}
    (folder / bundles.MANIFEST).write_text(json.dumps(manifest))
    return folder


def opening(accelerator: str, variant: str) -> Opening:
    return Opening(accelerator, 1, 10, lambda size: None, Boundary(), variant=variant)


def test_what_is_asked_for_is_run_by_device_and_fallback(with_variants: Path) -> None:
    bundle = Bundle.load(with_variants)
    for asked in Precision:
        chosen = choose(bundle, asked.value, "simulated", 1)
        assert (chosen.device, chosen.fallback) == (asked, asked)
        release = opening("simulated", asked.value)(with_variants)
        release.close()
        assert release.variant == chosen


def test_a_cpu_node_stays_exact_and_a_small_catalogue_has_nothing_to_gain(with_variants: Path) -> None:
    bundle = Bundle.load(with_variants)
    for accelerator in ("cpu", "simulated"):
        chosen = choose(bundle, "auto", accelerator, 1)
        assert (chosen.device, chosen.fallback) == (Precision.FP32, Precision.FP32)
        assert chosen.reason


@pytest.mark.parametrize(("int8_s", "expected"), [(0.5, Precision.INT8), (1.5, Precision.FP32)])
def test_a_fallback_takes_int8_where_that_is_faster(
    with_variants: Path, monkeypatch: pytest.MonkeyPatch, int8_s: float, expected: Precision
) -> None:
    monkeypatch.setattr(precision, "MEASURED_FROM", 10)
    # Not measured here: which is faster depends on the CPU that the tests happen to run on.
    monkeypatch.setattr(precision, "times_s", lambda paths, threads, length: [1.0, int8_s])
    chosen = choose(Bundle.load(with_variants), "auto", "simulated", 1)
    assert (chosen.device, chosen.fallback) == (Precision.FP32, expected)
    assert f"int8 took {int8_s:.2f} of fp32's time" in chosen.reason
    release = opening("simulated", "auto")(with_variants)
    release.close()
    assert release.variant == chosen


@pytest.mark.parametrize("driver", [None, "The CUDA driver is missing."], ids=["CUDA does not open", "no driver"])
def test_auto_without_cuda_runs_what_it_states_and_not_the_fallback(
    with_variants: Path, monkeypatch: pytest.MonkeyPatch, driver: str | None
) -> None:
    """The driver seems to be there when the variant is chosen; opening CUDA really fails, in a process of its own."""
    monkeypatch.setattr(precision, "MEASURED_FROM", 10)
    monkeypatch.setattr(precision, "times_s", lambda paths, threads, length: [1.0, 0.5])
    monkeypatch.setattr(precision, "_cuda_likely", lambda: True)
    monkeypatch.setattr(accelerators, "no_driver", lambda: driver)
    assert choose(Bundle.load(with_variants), "auto", "auto", 1).fallback is Precision.INT8
    opened: list[tuple[str, Any]] = []

    class Seen(accelerators.SessionDevice):
        def __init__(self, name: str, graphs: Any, threads: int) -> None:
            opened.append((name, graphs))
            super().__init__(name, graphs, threads)

    monkeypatch.setattr(accelerators, "SessionDevice", Seen)
    release = opening("auto", "auto")(with_variants)
    release.close()
    if release.accelerator.name != "cpu":
        pytest.skip("CUDA is there and opens")
    assert opened[-1] == ("cpu", release.bundle.model_path)
    assert (release.variant.device, release.variant.fallback) == (Precision.FP32, Precision.FP32)


def test_both_are_measured_over_the_same_work(with_variants: Path) -> None:
    bundle = Bundle.load(with_variants)
    narrow = bundle.variant_path(Precision.INT8)
    assert narrow is not None
    assert all(taken > 0 for taken in precision.times_s([bundle.model_path, narrow], 1, 5))


def test_a_variant_that_lost_too_much_is_served_by_nobody(with_variants: Path, tmp_path: Path) -> None:
    lossy = {"int8": {"usable": False, "recall_at_20_ratio": 0.9, "minimum_recall_ratio": 0.98}}
    copy = tmp_path / "lossy"
    copy.mkdir()
    for file in with_variants.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    resealed(copy, variants=lossy)
    with pytest.raises(Refused, match=r"--variant int8: int8 keeps 0.9 of recall@20, and 0.98 is the least"):
        opening("simulated", "int8")(copy)
    (copy / bundles.VARIANTS[Precision.FP16]).unlink()
    resealed(copy)
    with pytest.raises(Refused, match="the bundle has no fp16 variant"):
        opening("cpu", "fp16")(copy)


def test_a_damaged_variant_makes_a_bundle_unfit(with_variants: Path, tmp_path: Path) -> None:
    copy = tmp_path / "damaged"
    copy.mkdir()
    for file in with_variants.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    with (copy / bundles.VARIANTS[Precision.INT8]).open("r+b") as damaged:
        damaged.write(b"\xff")
    with pytest.raises(BundleError, match=r"model\.int8\.onnx"):
        Bundle.load(copy)


def test_a_node_says_what_it_computes_in_and_answers_the_same_without_a_user_cache(
    cluster: Cluster, with_variants: Path
) -> None:
    cluster.bundle = with_variants
    store = cluster.store("store")
    plain = cluster.node("a/node-1", store, "--no-user-cache", replication="async")
    narrow = cluster.node("a/node-2", store, "--variant", "int8", replication="async")
    assert "recsvc_user_cache" not in plain.http.get("/metrics").text
    wanted = {"device": "int8", "fallback": "int8", "reason": "int8 was asked for"}
    assert narrow.http.get("/readyz").json()["variant"] == wanted
    assert narrow.http.get("/v1/model").json()["variant"] == wanted
    lists = [node.http.post("/v1/recommend", json={"user": "u1", "k": 10}).json() for node in (plain, narrow)]
    assert len(set(lists[0]["items"]) & set(lists[1]["items"])) >= 9
    assert plain.http.post("/v1/recommend", json={"user": "u1", "k": 10}).json() == lists[0]
