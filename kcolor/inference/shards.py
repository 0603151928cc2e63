"""Which of several processes colorizes a file, agreed on without a word between them.

A file's shard follows from its name alone. A place in the sorted list would deal out
evenly, too, but a file that is added meanwhile would move all that come after it: of
two machines that list the folder a minute apart, both would do some files and neither
would do others.
"""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import PurePath


@dataclass(frozen=True)
class Shard:
    """One of `count` parts of a plan.

    Attributes:
        index: Which part, from 0 to `count` - 1, as job arrays count.
        count: How many parts there are.
    """

    index: int
    count: int

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise ValueError(
                "a shard I/N needs I from 0 to N - 1: three shards are 0/3, 1/3 and "
                f"2/3. Received: {self.index}/{self.count}"
            )

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Reads `I/N`.

        Args:
            text: Two whole numbers with a slash between them.

        Returns:
            The `Shard`.

        Raises:
            ValueError: If it is anything else, or I is not below N.
        """
        found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text, flags=re.ASCII)
        if found is None:
            raise ValueError(f"a shard is I/N, such as 0/3. Received: {text!r}")
        return cls(int(found[1]), int(found[2]))

    def holds(self, name: PurePath | str) -> bool:
        """Says whether a file belongs to this part.

        Args:
            name: Path inside the input, see `kcolor.inference.plan.shard_key`: machines
                that have mounted a folder in different places agree on it.

        Returns:
            True for exactly one of the `count` shards; about as many names for each.
        """
        name = name.as_posix() if isinstance(name, PurePath) else name
        digest = hashlib.sha256(os.fsencode(name)).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.index
