"""What a child process does with Ctrl-C."""

import signal


def heed():
    """Lets Ctrl-C end a child (`preexec_fn`), even of a shell that ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
