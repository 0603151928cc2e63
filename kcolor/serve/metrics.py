"""What the service counts, in Prometheus' text format."""

import os
from collections import Counter

from kcolor import __version__

# Upper bounds of the histogram of seconds.
_BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
# Anything else that is asked for counts as one: labels must not grow with requests.
_PATHS = ("/colorize", "/healthz", "/metrics")


class Metrics:
    """Counts of one process; for one thread, that of the event loop."""

    def __init__(self) -> None:
        """Starts at zero."""
        self.waiting = 0
        self._answers: Counter[tuple[str, int]] = Counter()
        self._seconds = 0.0
        self._bytes = 0
        self._within = [0] * (len(_BOUNDS) + 1)

    def count(self, path: str, status: int) -> None:
        """Counts an answer.

        Args:
            path: What was asked for.
            status: HTTP's status.
        """
        self._answers[path if path in _PATHS else "other", status] += 1

    def observe(self, seconds: float, size: int) -> None:
        """Counts a photograph.

        Args:
            seconds: Time from its arrival to its result, waiting among it.
            size: Bytes that arrived.
        """
        self._seconds += seconds
        self._bytes += size
        self._within[sum(seconds > bound for bound in _BOUNDS)] += 1

    def as_text(self) -> str:
        """Returns all counts in Prometheus' text format, version 0.0.4."""
        lines = [
            "# HELP kcolor_info Version of the server.",
            "# TYPE kcolor_info gauge",
            f'kcolor_info{{version="{__version__}"}} 1',
            "# HELP kcolor_requests_total Answers by path and status.",
            "# TYPE kcolor_requests_total counter",
        ]
        lines += [
            f'kcolor_requests_total{{path="{path}",status="{status}"}} {count}'
            for (path, status), count in sorted(self._answers.items())
        ]
        lines += [
            "# HELP kcolor_waiting Photographs that wait or are worked on.",
            "# TYPE kcolor_waiting gauge",
            f"kcolor_waiting {self.waiting}",
            "# HELP kcolor_received_bytes_total Bytes of photographs colorized.",
            "# TYPE kcolor_received_bytes_total counter",
            f"kcolor_received_bytes_total {self._bytes}",
            "# HELP kcolor_seconds Time from a photograph's arrival to its result.",
            "# TYPE kcolor_seconds histogram",
        ]
        total = 0
        for bound, count in zip((*_BOUNDS, "+Inf"), self._within, strict=True):
            total += count
            lines.append(f'kcolor_seconds_bucket{{le="{bound}"}} {total}')
        lines += [
            f"kcolor_seconds_sum {self._seconds:.6f}",
            f"kcolor_seconds_count {total}",
        ]
        memory = _resident_bytes()
        if memory is not None:
            lines += [
                "# HELP process_resident_memory_bytes Memory of the process.",
                "# TYPE process_resident_memory_bytes gauge",
                f"process_resident_memory_bytes {memory}",
            ]
        return "\n".join(lines) + "\n"


def _resident_bytes():
    # Linux; elsewhere the line is left out.
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None
