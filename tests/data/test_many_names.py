"""Sources of millions of pictures: memory, time to the first batch, order."""

import json
import subprocess
import sys

import pytest

_CODE = """
import json, os, resource, sys, time
os.environ["KERAS_BACKEND"] = "tensorflow"
import numpy as np
from kcolor.data.batches import training_batches
from kcolor.data.names import Names
from kcolor.data.pairs import find_pictures
from kcolor.data.lists import list_hash
from kcolor.data.source import Source

count, backwards = int(sys.argv[1]), sys.argv[2] == "backwards"
picture = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype("uint8")
numbers = range(count)[::-1] if backwards else range(count)

def read(position):
    number = numbers[position]
    return np.roll(picture, number % 59, axis=0)

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

# What is loaded once is no part of it.
small = Source("small", read, ["a.jpg", "b.jpg"], [0, 1])
next(iter(training_batches(small, 32, 4)))
before, started = resident(), time.monotonic()
listed = Names(f"shard-{n // 10000:04}/photo-{n:08}.jpg" for n in numbers)
made = time.monotonic()
source = Source("many", read, *find_pictures("many", listed))
del listed
batch = next(iter(training_batches(source, 32, 4, seed=3)))
print(json.dumps({
    "count": len(source),
    "listing": made - started,
    "first_batch": time.monotonic() - made,
    "held": resident() - before,
    "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    "batch": float(np.float64(batch[0]).sum()),
    "first": source.names[0],
}))
"""


def _measure(count, order):
    command = [sys.executable, "-c", _CODE, str(count), order]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_ten_million_names_take_less_than_a_gigabyte():
    found = _measure(10_000_000, "forwards")
    assert found["count"] == 10_000_000
    # 37 bytes of a name and its end, 8 each of place, position and weight; and what
    # the first pass' order needs while it is drawn.
    assert found["held"] < 1200


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_order_depends_on_names_and_seed_and_not_on_the_listing():
    forwards, backwards = (_measure(300_000, o) for o in ("forwards", "backwards"))
    assert forwards["batch"] == backwards["batch"]
    assert forwards["first"] == backwards["first"] == "shard-0000/photo-00000000.jpg"
