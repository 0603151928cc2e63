"""A Ray cluster of two nodes on this machine, one of which does not live long.

Run by tests/inference/test_ray.py in namespaces of its own: whatever Ray starts ends
with it, and nothing is reached from outside.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def _actors():
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            title = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if title.startswith(b"ray::") and b"Worker" in title:
            found.append(int(process.name))
    return found


def _files(out):
    return [path for path in out.rglob("*") if path.suffix == ".jpg"]


def _wait_for(out, count, process):
    while len(_files(out)) < count and process.poll() is None:
        time.sleep(0.05)
    return len(_files(out))


def survive(arguments, out, count):
    """Kills an actor after a fifth of the files, and a node after two fifths."""
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 100_000_000}
    cluster = Cluster(
        initialize_head=True, head_node_args={**node, "include_dashboard": False}
    )
    second = cluster.add_node(**node)
    environment = {**os.environ, "RAY_ADDRESS": cluster.address}
    process = subprocess.Popen(
        [sys.executable, "-m", "kcolor", *arguments],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    killed = [_wait_for(out, count // 5, process)]
    actors = _actors()
    os.kill(actors[0], signal.SIGKILL)
    killed.append(_wait_for(out, 2 * count // 5, process))
    cluster.remove_node(second, allow_graceful=False)
    said = process.communicate()[1]
    told = {"code": process.returncode, "said": said, "killed": killed}
    return told | {"actors": len(actors)}


if __name__ == "__main__":
    folder, total, *command = sys.argv[1:]
    result = survive(command, Path(folder), int(total))
    sys.stdout.write(json.dumps(result))
    sys.stdout.flush()
    # Not worth the wait for Ray's own end.
    os._exit(0)
