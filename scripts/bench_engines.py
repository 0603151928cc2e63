"""Compares engines of `kcolor colorize`: pictures a second of both at the same time.

    python scripts/bench_engines.py FOLDER [--jobs 2] [--rounds 3]

Both work on the same pictures beside each other, so that whatever else the machine does
slows them alike; what is counted is done while both are at work. The start (Python,
Ray, networks) is not: it is paid once, whatever the number of pictures.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median


def _start(engine, folder, out, jobs):
    command = [sys.executable, "-m", "kcolor", "colorize", folder, "-o", out]
    command += ["--engine", engine, "--jobs", str(jobs), "--overwrite"]
    # Or Ray's workers would give way to the other run.
    equal = {**os.environ, "RAY_worker_niceness": "0"}
    return subprocess.Popen(command, env=equal, stderr=subprocess.PIPE, text=True)


def _times(out):
    return sorted(path.stat().st_mtime for path in out.rglob("*.jpg"))


def _ratio(folder, jobs):
    with tempfile.TemporaryDirectory() as place:
        outs = {engine: Path(place, engine) for engine in ("ray", "local")}
        running = {"ray": _start("ray", folder, outs["ray"], jobs)}
        while not _times(outs["ray"]) and running["ray"].poll() is None:
            time.sleep(0.1)
        running["local"] = _start("local", folder, outs["local"], jobs)
        for engine, process in running.items():
            said = process.communicate()[1]
            if process.returncode:
                sys.exit(f"{engine}: {said}")
        times = {engine: _times(out) for engine, out in outs.items()}
    begin = max(found[0] for found in times.values())
    end = min(found[-1] for found in times.values())
    done = {
        engine: sum(begin < moment <= end for moment in found)
        for engine, found in times.items()
    }
    print(
        f"in {end - begin:.1f} s: ray {done['ray']}, local {done['local']} pictures",
        flush=True,
    )
    return done["ray"] / done["local"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    ratios = [_ratio(options.folder, options.jobs) for _ in range(options.rounds)]
    print(f"ray / local: {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
