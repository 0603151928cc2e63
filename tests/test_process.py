"""Tests for kcolor.allocator."""

import platform
import subprocess
import sys

import pytest

# Prints how many pages the kernel hands out while a block comes and goes.
COUNT = """
import ctypes, resource, sys
from kcolor.process import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
def use(size=64 << 20):
    block = libc.malloc(ctypes.c_size_t(size))
    ctypes.memset(block, 1, size)
    libc.free(block)
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc's")
def test_freed_memory_is_used_again():
    kept, returned = (
        int(subprocess.check_output([sys.executable, "-c", COUNT, choice]))
        for choice in ("keep", "plain")
    )
    assert kept < 100 < returned / 10
