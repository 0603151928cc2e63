"""Errors that a user can cause and mend. `kcolor.cli` turns them into one line."""


class DataError(Exception):
    """A file, folder, archive or model cannot be used. The message names it."""


def one_line(error: Exception) -> str:
    """Says in one line what went wrong.

    Args:
        error: What was raised.

    Returns:
        Text without line breaks; of a system error the file's name and the reason.
    """
    if isinstance(error, OSError) and error.strerror:
        name = f"{error.filename}: " if error.filename else ""
        return f"{name}{error.strerror}"
    return " ".join(str(error).split())
