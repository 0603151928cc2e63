"""Memory of the benchmarks' processes; runs under any Python, without kcolor."""

import re
import sys
from pathlib import Path


def peak_mb():
    """Returns the largest resident size of this process so far."""
    # getrusage would also count what the parent held when it started this process.
    return _status_mb("VmHWM") or _getrusage_mb()


def resident_mb():
    """Returns the resident size of this process; its peak outside Linux."""
    return _status_mb("VmRSS") or _getrusage_mb()


def _status_mb(field):
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    return int(re.search(rf"{field}:\s+(\d+) kB", status).group(1)) / 1024


def _getrusage_mb():
    import resource

    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
