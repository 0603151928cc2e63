"""Runs the HTTP interface in uvicorn, with the time limits that uvicorn lacks."""

import asyncio
import logging
import socket
from collections.abc import Callable

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from kcolor.inference.colorizer import Colorizer
from kcolor.serve.app import Limits, build_app
from kcolor.serve.page_server import family, named, naming
from kcolor.serve.site import NETWORK, Site

# Seconds for the head of a request to arrive; by then a slow client's connection ends.
_HEAD = 10.0
# Connections that may wait in the system's own queue until they are taken.
_CONNECTIONS = 512
_GRACE = 20  # seconds for what runs when the server is told to end


class _Protocol(H11Protocol):
    """Ends connections on which no request arrives in time."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport):
        super().connection_made(transport)
        self._watch()

    def data_received(self, data):
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc):
        self._stop()
        super().connection_lost(exc)

    def _watch(self):
        # Between the end of one request and the whole head of the next.
        if self.cycle is None or self.cycle.response_complete:
            if self._timer is None:
                self._timer = self.loop.call_later(_HEAD, self._give_up)
        else:
            self._stop()

    def _give_up(self):
        self._timer = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()

    def _stop(self):
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def run(
    host: str,
    port: int,
    ready: Callable[[str], None],
    model: str = "mobile",
    limits: Limits | None = None,
) -> None:
    """Serves until it is told to end (Ctrl-C, SIGTERM); what runs is then finished.

    Args:
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        ready: Is called with the server's address once it can be reached.
        model: A preset's name.
        limits: What a request may cost; None: the defaults.

    Raises:
        DataError: If there is no such preset.
        OSError: If the port is taken, or the host unknown; it names both.
    """
    # It has a line for each fault of a form: clients could fill a disk with them.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    site = Site(model, with_api=True)
    listener = _listen(host, port)
    app = build_app(Colorizer(model), site, limits)
    config = uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=_GRACE,
        backlog=_CONNECTIONS,
    )
    server = _Server(config)
    server.on_ready = lambda: _say(ready, host, listener, site)
    try:
        server.run(sockets=[listener])
    finally:
        listener.close()


class _Server(uvicorn.Server):
    on_ready: Callable[[], None]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.on_ready()


def _say(ready, host, listener, site):
    ready(f"http://{named(host)}:{listener.getsockname()[1]}/")
    # While the browser still loads the rest.
    asyncio.get_running_loop().run_in_executor(None, site.etag, NETWORK)


def _listen(host, port):
    listener = socket.socket(family(host), socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        with naming(host, port):
            listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener
