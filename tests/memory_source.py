"""A source of what functions return, so that a test decides what a file holds."""

from kcolor.data.source import Source


def source_of(readers, gray_readers=None, path="photos"):
    """Makes a source of dicts of name to a function that returns bytes or RGB."""
    names = list(readers)
    functions = list(readers.values())
    if gray_readers is None:
        gray = None
    else:
        gray = range(len(names), 2 * len(names))
        functions += [gray_readers[name] for name in names]
    return Source(path, lambda i: functions[i](), names, range(len(names)), gray)
