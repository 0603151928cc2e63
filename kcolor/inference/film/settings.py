"""What a user may choose about a film, and which files are films. Imports no PyAV."""

from dataclasses import dataclass
from pathlib import Path

from kcolor.errors import DataError

# Containers that a folder is searched for, and the suffix of the result: these three
# keep their kind. Matroska takes what the others hold, sound and subtitles as they are.
SUFFIXES = {
    **{suffix: ".mp4" for suffix in (".mp4", ".m4v")},
    ".mov": ".mov",
    **{
        suffix: ".mkv"
        for suffix in (
            *(".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".m2ts", ".mts"),
            *(".vob", ".wmv", ".asf", ".flv", ".ogv", ".3gp", ".mxf", ".dv"),
        )
    },
}
WRITABLE = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi")
STEADY = ("off", "forward", "both")
CODECS = ("h264", "h265", "av1", "vp9", "ffv1", "prores")
# Codec that no suffix decides.
_DEFAULT_CODEC = {".webm": "vp9"}


@dataclass(frozen=True)
class FilmSettings:
    """How a film is colorized and written.

    Attributes:
        codec: One of `CODECS`; None: H.264, in WebM VP9.
        quality: 1 to 100; codecs without loss or with a fixed rate take none. None: 80,
            at which H.264 is hard to tell from its source.
        steady: `"off"`: each frame by itself. `"forward"`: colors follow the motion
            from the frames before. `"both"`: from the frames behind, too.
        max_megapixels: Refuse larger frames.
    """

    codec: str | None = None
    quality: int | None = None
    steady: str = "both"
    max_megapixels: float = 100.0

    def __post_init__(self) -> None:
        if self.steady not in STEADY:
            raise ValueError(
                f"steady must be one of {', '.join(STEADY)}. "
                f"Received: steady={self.steady!r}"
            )
        if self.codec is not None and self.codec not in CODECS:
            raise ValueError(
                f"codec must be one of {', '.join(CODECS)}. "
                f"Received: codec={self.codec!r}"
            )
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise ValueError(
                f"quality must be from 1 to 100. Received: quality={self.quality}"
            )

    def codec_for(self, target: Path) -> str:
        """Says which codec the result is written with.

        Args:
            target: Path of the result.

        Returns:
            One of `CODECS`.
        """
        return self.codec or _DEFAULT_CODEC.get(target.suffix.lower(), "h264")


def is_film(path: Path | str) -> bool:
    """Says by its name whether a file is a film."""
    return Path(path).suffix.lower() in SUFFIXES


def film_name(path: Path, codec: str | None = None) -> Path:
    """Names the result of a film.

    Args:
        path: Path of the film, or of the result with the film's name.
        codec: The codec asked for, or None.

    Returns:
        The same path, with the suffix of a container that takes the result.
    """
    if codec == "ffv1":
        return path.with_suffix(".mkv")
    if codec == "prores":
        return path.with_suffix(".mov")
    return path.with_suffix(SUFFIXES.get(path.suffix.lower(), ".mkv"))


def check_target(path: Path) -> None:
    """Checks that a film can be written under a name.

    Raises:
        DataError: If its suffix is none of `WRITABLE`.
    """
    if path.suffix.lower() not in WRITABLE:
        raise DataError(
            f"{path}: no known format of a film in this name "
            f"({', '.join(suffix[1:] for suffix in WRITABLE)})"
        )
