"""Errors that a user can cause and mend. `kcolor.cli` turns them into one line."""


class DataError(Exception):
    """A file, folder, archive or model cannot be used. The message names it."""
