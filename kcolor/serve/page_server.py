"""Serves the page alone, with Python's own HTTP server: the light install is enough.

Files come out of a table, never off the disk by a name that a request brings.
"""

import logging
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from kcolor.serve.site import HEADERS, Site, media_type

_log = logging.getLogger(__name__)
_SECONDS = 30  # without a word from a browser, or from a slow one in a request


@contextmanager
def naming(host: str, port: int) -> Iterator[None]:
    """Says in what the system has against an address which one that is.

    Args:
        host: Address to listen on.
        port: Port to listen on.

    Raises:
        OSError: What the block raises, its `filename` being host and port.
    """
    try:
        yield
    except OSError as error:
        place = f"{named(host)}:{port}"
        raise OSError(error.errno, error.strerror, place) from error


def named(host: str) -> str:
    """Writes a host as it stands in an address, one of IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def family(host: str) -> socket.AddressFamily:
    """Finds the kind of a socket that listens on a host."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


class PageServer(ThreadingHTTPServer):
    """Serves the files of a `Site`."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], site: Site) -> None:
        """Opens the port.

        Args:
            address: Host and port; port 0 takes a free one.
            site: The page.

        Raises:
            OSError: If the port is taken, or the host unknown; it names both.
        """
        self.site = site
        self.address_family = family(address[0])
        with naming(*address):
            super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of browsers that hang up; of all else, what happened."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    protocol_version = "HTTP/1.1"
    timeout = _SECONDS
    server_version = "kcolor"
    sys_version = ""

    def do_GET(self):  # noqa: N802 (the base class' name)
        self._answer(with_body=True)

    def do_HEAD(self):  # noqa: N802
        self._answer(with_body=False)

    def _answer(self, with_body):
        site = self.server.site
        name = unquote(urlsplit(self.path).path).removeprefix("/") or "index.html"
        if name not in site.names():
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        etag = site.etag(name)
        if self.headers.get("If-None-Match") == etag:
            self.send_response(HTTPStatus.NOT_MODIFIED)
            self._head(etag)
            self.end_headers()
            return
        packed = (
            "gzip" in self.headers.get("Accept-Encoding", "") and not self._is_near()
        )
        content = site.packed(name) if packed else site.read(name)
        self.send_response(HTTPStatus.OK)
        self._head(etag)
        self.send_header("Content-Type", media_type(name))
        self.send_header("Content-Length", str(len(content)))
        if packed:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        if with_body:
            self.wfile.write(content)

    def _head(self, etag):
        for name, value in {**HEADERS, "ETag": etag, "Vary": "Accept-Encoding"}.items():
            self.send_header(name, value)

    def _is_near(self):
        # To this machine itself, packing takes longer than it saves.
        return self.client_address[0] in ("127.0.0.1", "::1")

    def log_message(self, format, *args):
        _log.debug("%s %s", self.address_string(), format % args)
