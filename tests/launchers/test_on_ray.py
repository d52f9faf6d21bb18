"""Sweeps by Ray, on a cluster of two nodes on this machine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .commands import SWEEP, Findings, found, said, train

pytest.importorskip("ray", reason="needs ray")

# In a process of its own: Ray starts threads, leaves files open and warns.
CLUSTER = """
import sys
from ray.cluster_utils import Cluster
folder = sys.argv[1]
cluster = Cluster()
for name in ("one", "two"):
    cluster.add_node(num_cpus=1, object_store_memory=80_000_000, include_dashboard=False,
                     env_vars={"NORMEXP_CACHE": f"{folder}/{name}", "NODE": name})
cluster.wait_for_nodes()
print("address", cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""
NODES = """
import os, pathlib
from torch import nn

class Tells(nn.BatchNorm2d):
    def __init__(self, num_features, cell=0):
        super().__init__(num_features)
        if "NODE" in os.environ:
            pathlib.Path(os.environ["NODE"]).touch()
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Ray cluster of two nodes with a core each."""
    folder = tmp_path_factory.mktemp("cluster")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", CLUSTER, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    assert process.stdin is not None
    assert process.stdout is not None
    address = next(line for line in process.stdout if line.startswith(b"address "))
    yield address.split()[1].decode()
    process.communicate()  # closes its input, and waits


@pytest.fixture
def ray(cluster: str) -> tuple[str, str]:
    return "hydra/launcher=ray", f"hydra.launcher.ray.init.address='{cluster}'"


def test_tasks_find_bit_for_bit_what_processes_find(
    whole_sweep: Findings, ray: tuple[str, str], tmp_path: Path
) -> None:
    assert train(tmp_path, *SWEEP, *ray) == 0, said(tmp_path)
    assert found(tmp_path) == whole_sweep
    assert "Traceback" not in said(tmp_path)


def test_a_sweep_is_carried_out_by_all_nodes(ray: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "nodes.py").write_text(NODES)
    layer = ("norm=custom", "norm.layer._target_=nodes.Tells", "+norm.layer.cell=1,2")
    sweep = [each for each in SWEEP if not each.startswith("norm=")]
    assert train(tmp_path, *sweep, *layer, *ray) == 0, said(tmp_path)
    assert len(found(tmp_path)) == 2
    assert (tmp_path / "one").exists()
    assert (tmp_path / "two").exists()


def test_a_cluster_that_is_not_there_is_told_in_a_line(tmp_path: Path) -> None:
    where = "hydra.launcher.ray.init.address='127.0.0.1:9'"
    assert train(tmp_path, *SWEEP, "hydra/launcher=ray", where) == 1
    last = said(tmp_path).splitlines()[-1]
    assert last.startswith("normexp: hydra.launcher.ray.init.address=127.0.0.1:9: no Ray answers")
    assert "Traceback" not in said(tmp_path)
