"""What holds for a whole process, and that only the command line sets it."""

import ast
import json
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

import kcolor
from kcolor.errors import DataError
from kcolor.process import in_own_process

# Prints how many pages the kernel hands out while a block comes and goes, each time in
# a thread of its own where threads share what they have freed.
COUNT = """
import ctypes, resource, sys, threading
from kcolor.process import keep_freed_memory
if sys.argv[1] != "plain":
    keep_freed_memory(shared=sys.argv[1] == "share")
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
def use(size=64 << 20):
    block = libc.malloc(ctypes.c_size_t(size))
    ctypes.memset(block, 1, size)
    libc.free(block)
if sys.argv[1] == "share":
    use_here = use
    def use():
        thread = threading.Thread(target=use_here)
        thread.start()
        thread.join()
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc's")
def test_freed_memory_is_used_again():
    kept, shared, returned = (
        int(subprocess.check_output([sys.executable, "-c", COUNT, choice]))
        for choice in ("keep", "share", "plain")
    )
    assert kept < 100 < returned / 10
    assert shared < 1000 < returned / 10


# Drops an interrupt as a weak reference's callback does, then waits as a watch does.
DROPS = """
import signal, sys, time, weakref
from kcolor.process import interrupts_kept
class Thing: pass
thing = Thing()
def callback(_): signal.raise_signal(signal.SIGINT)
kept = weakref.ref(thing, callback)
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    with interrupts_kept():
        del thing
        print("dropped", flush=True)
        time.sleep(60)
except KeyboardInterrupt:
    print("raised", sys.unraisablehook is sys.__unraisablehook__)
"""


def test_an_interrupt_that_python_drops_comes_again():
    started = time.monotonic()
    said = subprocess.check_output([sys.executable, "-c", DROPS], text=True)
    assert said.split() == ["dropped", "raised", "True"]
    assert time.monotonic() - started < 30


# Colorizes by every door of the library and tells what that changed for the process.
_LIBRARY = """
import ctypes, json, locale, logging, os, random, signal, sys, warnings
import cv2, numpy, PIL.Image
called = []
dup2, environ = os.dup2, dict(os.environ)
os.dup2 = lambda *a, **k: (called.append("dup2"), dup2(*a, **k))[1]
threads = cv2.setNumThreads
cv2.setNumThreads = lambda n: (called.append("setNumThreads"), threads(n))[1]

class Library(ctypes.CDLL):
    def __getattr__(self, name):
        if name == "mallopt":
            called.append("mallopt")
        return super().__getattr__(name)

ctypes.CDLL = Library

def state():
    mask = os.umask(0)
    os.umask(mask)
    return {
        "random": hash(random.getstate()),
        "numpy": numpy.random.get_state()[1].tolist(),
        "threads": cv2.getNumThreads(),
        "umask": mask,
        "locale": locale.setlocale(locale.LC_ALL),
        "signals": [str(signal.getsignal(n)) for n in (2, 13, 15)],
        "limit": PIL.Image.MAX_IMAGE_PIXELS,
        "logging": [logging.root.level, len(logging.root.handlers)],
        "warnings": len(warnings.filters),
        "streams": [id(sys.stdout), id(sys.stderr)],
        "folder": os.getcwd(),
    }

before = state()
import kcolor
from kcolor.inference import plan, runner
from kcolor.inference.jobs import Settings
source, model, out = sys.argv[1:]
kcolor.colorize(source, model)
kcolor.colorize_bytes(open(source, "rb").read(), model)
colorizer = kcolor.Colorizer(model)
colorizer(numpy.zeros((40, 50), "uint8"))
for row in runner.run(plan.plan([source], out), colorizer, Settings(), 2):
    assert row.status == "written", row
after = state()
changed = [key for key in before if before[key] != after[key]]
if dict(os.environ) != environ:
    changed.append("environ")
print(json.dumps([sorted(set(called)), changed]))
"""


def test_the_library_changes_nothing_for_the_process(tmp_path, any_size_tflite):
    source = tmp_path / "a.png"
    noise = np.random.default_rng(0).integers(0, 256, (60, 81)).astype("uint8")
    cv2.imwrite(str(source), noise)
    command = [sys.executable, "-c", _LIBRARY, source, any_size_tflite]
    done = subprocess.run(
        [*map(str, command), str(tmp_path / "b.png")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [[], []]


def test_only_the_command_line_sets_what_holds_for_the_process():
    root = Path(kcolor.__file__).parent
    for path in sorted(root.rglob("*.py")):
        if path.parent == root / "cli":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert node.module != "kcolor.process", path


def test_what_c_libraries_say_is_held_back_and_python_gets_through():
    code = (
        "import os, sys, warnings; from kcolor.process import silent_libraries\n"
        "with silent_libraries():\n"
        "    os.write(2, b'from C')\n"
        "    warnings.warn('damaged')\n"
        "    print('from Python', file=sys.stderr)\n"
        "os.write(2, b'after')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == "from Python\nafter"


def _refuse(name):
    raise DataError(f"{name}: refused")


def test_a_function_in_its_own_process_answers_raises_and_may_be_killed():
    assert in_own_process(os.getppid) == os.getpid()
    with pytest.raises(DataError, match="a.png: refused"):
        in_own_process(_refuse, "a.png")
    with pytest.raises(ChildProcessError):
        in_own_process(signal.raise_signal, signal.SIGKILL)


def test_a_function_in_its_own_process_ends_with_the_one_that_called(tmp_path):
    code = (
        "import subprocess, sys; from kcolor.process import in_own_process\n"
        "if __name__ == '__main__':\n"
        "    in_own_process(subprocess.run, ['sh', '-c', 'echo $PPID; exec sleep 60'])"
    )
    (tmp_path / "waits.py").write_text(code)
    waits = subprocess.Popen(
        [sys.executable, tmp_path / "waits.py"], stdout=subprocess.PIPE, text=True
    )
    inner = int(waits.stdout.readline())
    waits.kill()
    waits.wait()
    for _ in range(100):
        try:
            os.kill(inner, 0)
        except ProcessLookupError:
            break
        time.sleep(0.1)
    else:
        pytest.fail("it is still there")
    waits.stdout.close()
