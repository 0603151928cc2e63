"""The work folder of a film: what is finished of it, for when a job is interrupted.

It lies hidden beside the result: `.NAME.kcolor-film`. A stretch is finished when its
list of packets is there, which is written last; what the stretch leaves to the next one
stands in the same list.
"""

import json
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kcolor.errors import DataError
from kcolor.files import replacing, write_json
from kcolor.inference.film.encoding import Packets
from kcolor.inference.film.steady import State
from kcolor.inference.film.writing import Times


@dataclass(frozen=True)
class Stretch:
    """A finished stretch.

    Attributes:
        packets: Its packets.
        times: Times of its frames.
        ends_shot: Whether a shot ends with it.
    """

    packets: Packets
    times: Times
    ends_shot: bool


class Work:
    """The finished stretches of one film.

    Attributes:
        stretches: All of them, in order.
        state: What the last frame of the last of them leaves to the next, or None.
    """

    stretches: list[Stretch]
    state: State | None

    def __init__(self, target: Path, job: dict[str, object]) -> None:
        """Opens the folder, or begins anew if it belongs to another job.

        Args:
            target: The film to be.
            job: All that the result depends on, as JSON takes it.

        Raises:
            DataError: If another process works on the same film.
            OSError: If the folder cannot be made.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        self._target = target
        self.folder = target.with_name(f".{target.name}.kcolor-film")
        self.folder.mkdir(exist_ok=True)
        self._lock = self._locked()
        known = self.folder / "job.json"
        if not known.exists() or json.loads(known.read_text()) != _as_json(job):
            self._clear()
            write_json(known, job)
        self.stretches, self.state = self._load()

    def data_path(self) -> Path:
        """Gives the file for the packets of the next stretch."""
        return self.folder / f"{len(self.stretches):06d}.packets"

    def add(self, stretch: Stretch, state: State) -> None:
        """Marks a stretch as finished; `state` is what it leaves to the next."""
        path = self.folder / f"{len(self.stretches):06d}.npz"
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(
                file,
                sizes=stretch.packets.sizes,
                packet_pts=stretch.packets.pts,
                keys=stretch.packets.keys,
                pts=stretch.times.pts,
                durations=stretch.times.durations,
                mean=state.mean,
                count=state.count,
                ends_shot=stretch.ends_shot,
            )
        self.stretches.append(stretch)
        # Of this one alone: a state is 0.3 MB, and a long film has many stretches.
        self.state = state

    def publish(self, film: Path) -> None:
        """Gives the finished film its name, and removes the folder."""
        os.chmod(film, 0o644)
        os.replace(film, self._target)
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        """Lets other processes work on the film."""
        if self._lock is not None:
            with suppress(OSError):
                os.close(self._lock)
            self._lock = None

    def _load(self):
        stretches: list[Stretch] = []
        state = None
        while True:
            number = f"{len(stretches):06d}"
            data, listed = (self.folder / f"{number}.{s}" for s in ("packets", "npz"))
            if not (data.exists() and listed.exists()):
                break
            with np.load(listed) as held:
                packets = Packets(data, held["sizes"], held["packet_pts"], held["keys"])
                # A machine that lost its power may have lost the end of a file.
                if data.stat().st_size != packets.sizes.sum():
                    break
                stretches.append(
                    Stretch(
                        packets,
                        Times(held["pts"], held["durations"]),
                        bool(held["ends_shot"]),
                    )
                )
                state = State(held["mean"], held["count"])
        return stretches, state

    def _clear(self):
        for path in self.folder.iterdir():
            if path.name != "lock":
                path.unlink()

    def _locked(self):
        # A lock that the system takes back whatever ends the process.
        try:
            import fcntl
        except ImportError:  # Windows
            return None
        handle = os.open(self.folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(handle)
            raise DataError(f"{self._target}: another process writes it") from error
        except OSError:
            pass  # A file system without locks.
        return handle


def _as_json(job):
    return json.loads(json.dumps(job))
