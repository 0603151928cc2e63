"""Pictures of a set that tensorflow-datasets knows."""

import tensorflow_datasets as tfds

from kcolor.data.spool import Spool
from kcolor.errors import DataError


class TfdsReader:
    """Reads a set once from front to back and keeps its files' bytes on disk.

    Most of its formats can be read in no other order. The bytes go to a file without a
    name, so memory stays flat and nothing is left behind.

    Attributes:
        names: The pictures' positions in the set, eight digits each.
    """

    def __init__(self, name: str) -> None:
        """Downloads the set if need be, and reads it.

        Args:
            name: `tfds:NAME/SPLIT`.

        Raises:
            DataError: If there is no such set or split, or it has no feature `image`.
        """
        self._spool = Spool()
        self._places = [
            self._spool.put(example["image"].numpy()) for example in _pictures(name)
        ]
        self.names = [f"{i:08d}" for i in range(len(self._places))]

    def read(self, position: int) -> bytes:
        """Returns the bytes of a picture's file.

        Args:
            position: Its position in the set.

        Returns:
            The file as tensorflow-datasets keeps it.
        """
        return self._spool.get(self._places[position])


def _pictures(name):
    set_name, _, split = name.removeprefix("tfds:").rpartition("/")
    try:
        builder = tfds.builder(set_name)
        if "image" not in builder.info.features:
            raise DataError(
                f"{name}: has no feature `image`, but {list(builder.info.features)}"
            )
        builder.download_and_prepare()
        # Read in the order of the shards, so that a number always means one picture.
        return builder.as_dataset(
            split=split,
            shuffle_files=False,
            decoders={"image": tfds.decode.SkipDecoding()},
            read_config=tfds.ReadConfig(interleave_cycle_length=1),
        )
    except (tfds.core.DatasetNotFoundError, ValueError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(f"{name}: {reason}") from error
