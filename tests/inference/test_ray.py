"""`--engine ray`: the same files and rows as without it, whatever dies meanwhile."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest

TESTS = Path(__file__).parents[1]
_ALONE = ["unshare", "--user", "--map-root-user", "--net", "--pid", "--mount"]
_ALONE += ["--mount-proc", "--fork", "--kill-child", "sh", "-c"]
# An address beside the loopback one, and a way out that leads nowhere: what listens
# for others would listen there, too.
_ALONE += [
    "ip link set lo up && ip address add 10.9.9.9/24 dev lo && "
    'ip route add default via 10.9.9.8 dev lo && exec "$@"',
    "sh",
]


def _may_be_alone():
    try:
        return subprocess.run([*_ALONE, "true"], capture_output=True).returncode == 0
    except OSError:
        return False


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed"),
    pytest.mark.skipif(not _may_be_alone(), reason="no unshare or ip, or not allowed"),
]


@pytest.fixture
def environment():
    """Environment of a process that may start Ray, with a home of its own."""
    # Not below tmp_path: names of sockets are short.
    home = tempfile.mkdtemp(prefix="kc-", dir="/tmp")
    mine = {key: value for key, value in os.environ.items() if "AWS" not in key}
    mine |= {"HOME": home, "RAY_TMPDIR": home, "RAY_USAGE_STATS_ENABLED": "0"}
    mine.pop("RAY_ADDRESS", None)
    mine["PYTHONPATH"] = os.pathsep.join([*filter(None, sys.path), str(TESTS)])
    yield mine
    shutil.rmtree(home, ignore_errors=True)


def _album(folder, count, size=(60, 83), bad=()):
    folder.mkdir()
    for number in range(count):
        rng = np.random.default_rng(number)
        coarse = rng.integers(0, 256, (9, 12)).astype("uint8")
        gray = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{number:03d}.jpg"), gray)
    for number in bad:
        (folder / f"{number:03d}.jpg").write_bytes(b"no picture")
    return folder


def _results(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*.jpg")}


def _rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def _kcolor(environment, *arguments):
    return subprocess.run(
        [*_ALONE, sys.executable, "-m", "kcolor", "colorize", *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
    )


def test_rows_and_files_are_those_of_a_local_run(tmp_path, environment):
    album = _album(tmp_path / "in", 20, bad=(3, 11))
    local = _kcolor(environment, album, "-o", tmp_path / "a", "--log", tmp_path / "la")
    on_ray = [album, "-o", tmp_path / "b", "--log", tmp_path / "lb", "--engine", "ray"]
    ray = _kcolor(environment, *on_ray, "--jobs", "2")
    assert local.returncode == ray.returncode == 1, ray.stderr
    assert _results(tmp_path / "a") == _results(tmp_path / "b")
    rows = []
    for log, out in (("la", "a"), ("lb", "b")):
        read = sorted(_rows(tmp_path / log), key=lambda row: row["input"])
        for row in read:
            row["output"] = str(Path(row["output"]).relative_to(tmp_path / out))
            assert row.pop("seconds") >= 0
        rows.append(read)
    assert rows[0] == rows[1] and len(rows[0]) == 20
    assert "18 written" in ray.stderr and ray.stderr.count("Error: ") == 2
    again = _kcolor(environment, *on_ray, "--skip-existing")
    assert "0 written" in again.stderr and "18 already there, 2 failed" in again.stderr


_LISTENING = """
import os, subprocess, sys
from kcolor.inference import ray
connected = ray._connected(1)
told = subprocess.run(["ss", "-Hltn"], capture_output=True, text=True).stdout
print(*{line.split()[3].rpartition(":")[0] for line in told.splitlines()})
sys.stdout.flush()
os._exit(0)
"""


@pytest.mark.skipif(shutil.which("ss") is None, reason="no ss")
def test_a_local_cluster_listens_on_the_loopback_address_alone(environment):
    command = [*_ALONE, sys.executable, "-c", _LISTENING]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    places = done.stdout.split()
    assert places, done.stderr
    assert all("127.0.0.1" in place for place in places), places


@pytest.mark.parametrize("bad, code", [((), 0), ((7, 130, 131, 499), 1)])
def test_a_killed_actor_and_a_killed_node_lose_nothing(
    tmp_path, environment, bad, code
):
    count = 500
    album = _album(tmp_path / "in", count, bad=bad)
    local = _kcolor(environment, album, "-o", tmp_path / "local")
    assert local.returncode == code
    out, log = tmp_path / "out", tmp_path / "log"
    command = ["colorize", album, "-o", out, "--engine", "ray", "--log", log]
    done = subprocess.run(
        [*_ALONE, sys.executable, str(TESTS / "ray_cluster.py"), str(out), str(count)]
        + list(map(str, command)),
        env=environment,
        capture_output=True,
        text=True,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["actors"] == 2 and max(told["killed"]) < count - len(bad), told
    assert told["code"] == code, told
    counts = Counter(row["input"] for row in _rows(log))
    assert len(counts) == count and set(counts.values()) == {1}
    failed = {row["input"] for row in _rows(log) if row["status"] == "failed"}
    assert failed == {str(album / f"{number:03d}.jpg") for number in bad}
    assert all(f"{number:03d}.jpg: not a" in told["said"] for number in bad)
    assert _results(out) == _results(tmp_path / "local")


_STORE = """
import subprocess, sys, fsspec
server = subprocess.Popen([sys.executable, sys.argv[1], sys.argv[2]],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
import os
os.environ["AWS_ENDPOINT_URL"] = server.stdout.readline().strip()
storage = fsspec.filesystem("s3")
storage.mkdir("scans")
storage.put(sys.argv[3] + "/", "scans/in/", recursive=True)
codes = []
for _ in range(2):
    code = subprocess.run([sys.executable, "-m", "kcolor", *sys.argv[5:]]).returncode
    codes.append(code)
storage.invalidate_cache()
storage.get("scans/out/", sys.argv[4], recursive=True)
server.kill()
print(*codes)
"""


@pytest.mark.skipif(
    not (find_spec("moto") and find_spec("s3fs")), reason="no moto or s3fs"
)
def test_object_storage_keeps_results_whole_and_secrets_secret(tmp_path, environment):
    count, secret = 100, "s3cr3t-0f-th3-t3st"
    album = _album(tmp_path / "in", count, bad=(5,))
    local = _kcolor(environment, album, "-o", tmp_path / "local")
    assert local.returncode == 1
    environment |= {"AWS_ACCESS_KEY_ID": "AKIDTEST", "AWS_SECRET_ACCESS_KEY": secret}
    environment |= {"AWS_DEFAULT_REGION": "us-east-1"}
    log, puts = tmp_path / "log", tmp_path / "puts"
    arguments = ["colorize", "s3://scans/in", "-o", "s3://scans/out", "--engine", "ray"]
    arguments += ["--jobs", "2", "--log", log, "--skip-existing"]
    command = [TESTS / "object_store.py", puts, album, tmp_path / "out", *arguments]
    done = subprocess.run(
        [*_ALONE, sys.executable, "-c", _STORE, *map(str, command)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split()[-2:] == ["1", "1"], done.stderr
    assert _results(tmp_path / "out") == _results(tmp_path / "local")
    came, failed = map(int, puts.read_text().split())
    assert failed == 25 and came == 99 + 25
    rows = _rows(log)
    assert Counter(row["status"] for row in rows) == {
        "written": 99,
        "skipped": 99,
        "failed": 2,
    }
    assert rows[0]["input"].startswith("s3://scans/in/")
    said = done.stdout + done.stderr + log.read_text()
    logs = Path(environment["RAY_TMPDIR"]).rglob("*")
    said += "".join(path.read_text(errors="replace") for path in logs if path.is_file())
    assert secret not in said and "005.jpg" in said
