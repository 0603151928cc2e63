"""The HTTP interface: a photograph in, the photograph in color out.

One `Colorizer` and one thread work; a few requests may wait, more are told to come
again. So memory has a bound that no number of clients moves. Nothing is fetched, no
path is taken from a request, and no other site's page may read an answer.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from kcolor import __version__
from kcolor.errors import DataError, one_line
from kcolor.images import formats
from kcolor.inference.colorizer import Colorizer
from kcolor.inference.jobs import colorize_bytes
from kcolor.serve.metrics import Metrics
from kcolor.serve.parameters import Parameters, read_form, read_query
from kcolor.serve.site import HEADERS, Site, media_type


@dataclass(frozen=True)
class Limits:
    """What a request may cost.

    Attributes:
        body: Bytes of a request's body.
        megapixels: Of a photograph, in millions.
        waiting: Requests at a time, the one that is worked on among them.
        receiving: Seconds that a body may take to arrive.
        working: Seconds until a client that waits is told to come again.
        sending: Seconds without progress until an answer that nobody reads is dropped.
        retry: Seconds after which a client that was turned away may come again.
    """

    body: int = 64 << 20
    megapixels: float = 50.0
    waiting: int = 16
    receiving: float = 30.0
    working: float = 60.0
    sending: float = 30.0
    retry: int = 1


class Service:
    """What all requests share."""

    def __init__(self, colorizer: Colorizer, site: Site, limits: Limits) -> None:
        """Takes the network, the page's files and the limits."""
        self.colorizer = colorizer
        self.site = site
        self.limits = limits
        self.metrics = Metrics()
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="colorize")

    async def colorize(self, request: Request) -> Response:
        """Answers `POST /colorize`."""
        if request.headers.get("sec-fetch-site") == "cross-site":
            raise HTTPException(403, "requests of other sites' pages are not answered")
        limits, metrics = self.limits, self.metrics
        length = request.headers.get("content-length", "0")
        if length.isdecimal() and int(length) > limits.body:
            raise self._too_large()
        if metrics.waiting >= limits.waiting:
            raise self._busy("all places in the queue are taken")
        metrics.waiting += 1
        try:
            parameters = await self._receive(request)
            return await self._work(parameters)
        finally:
            metrics.waiting -= 1

    async def _receive(self, request: Request) -> Parameters:
        counted = _Counted(request, self.limits.body)
        try:
            async with asyncio.timeout(self.limits.receiving):
                kind = request.headers.get("content-type", "").partition(";")[0].strip()
                if kind.lower() == "multipart/form-data":
                    return await read_form(counted.request)
                body = bytearray()
                async for part in counted.request.stream():
                    body += part
                return read_query(request.query_params, bytes(body))
        except TimeoutError as error:
            raise HTTPException(
                408, f"the body took over {self.limits.receiving:g} s to arrive", _CLOSE
            ) from error
        except _TooLarge as error:
            raise self._too_large() from error

    async def _work(self, parameters: Parameters) -> Response:
        started = time.monotonic()
        loop = asyncio.get_running_loop()
        job = loop.run_in_executor(self.pool, self._colorize, parameters)
        try:
            async with asyncio.timeout(self.limits.working):
                content, kind = await job
        except TimeoutError as error:
            raise self._busy(f"no answer within {self.limits.working:g} s") from error
        except (DataError, ValueError) as error:
            raise HTTPException(422, one_line(error)) from error
        self.metrics.observe(time.monotonic() - started, len(parameters.image))
        return Response(
            content,
            media_type=_MEDIA_TYPES.get(kind, f"image/{kind.lower()}"),
            headers={
                "Cache-Control": "no-store",
                "X-Content-Type-Options": "nosniff",
                "Content-Disposition": f'inline; filename="color.{_suffix(kind)}"',
            },
        )

    def _colorize(self, parameters: Parameters) -> tuple[bytes, str]:
        content = colorize_bytes(
            parameters.image,
            self.colorizer,
            saturation=parameters.saturation,
            format=parameters.format,
            quality=parameters.quality,
            hints=parameters.hints,
            max_megapixels=self.limits.megapixels,
        )
        found = formats.of_bytes(content[:32])
        return content, found.name if found else "octet-stream"

    async def health(self, request: Request) -> Response:
        """Answers `GET /healthz`."""
        return JSONResponse(
            {"status": "ok", "version": __version__, "waiting": self.metrics.waiting}
        )

    async def show_metrics(self, request: Request) -> Response:
        """Answers `GET /metrics`."""
        text = self.metrics.as_text()
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    async def page(self, request: Request) -> Response:
        """Answers with one of the page's files."""
        name = request.path_params["name"] or "index.html"
        if name == "colorize":
            raise HTTPException(405, headers={"Allow": "POST"})
        name = {"docs": "api.html"}.get(name, name)
        if name not in self.site.names():
            raise HTTPException(404)
        # The network is made out of the preset on the first request for it.
        etag = await asyncio.to_thread(self.site.etag, name)
        headers = {**HEADERS, "ETag": etag, "Vary": "Accept-Encoding"}
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        near = request.client is None or request.client.host in ("127.0.0.1", "::1")
        read = self.site.read
        if "gzip" in request.headers.get("accept-encoding", "") and not near:
            read = self.site.packed
            headers["Content-Encoding"] = "gzip"
        content = await asyncio.to_thread(read, name)
        headers["Content-Type"] = media_type(name)
        return Response(content, headers=headers)

    def _busy(self, detail):
        retry = {"Retry-After": str(self.limits.retry)}
        return HTTPException(503, f"{detail}; come again", retry)

    def _too_large(self):
        detail = f"a body must be of at most {self.limits.body:,} bytes"
        # What is still on its way is not read; the connection ends with the answer.
        return HTTPException(413, detail, _CLOSE)


_CLOSE = {"Connection": "close"}
_MEDIA_TYPES = {"PPM": "image/x-portable-pixmap"}


class _TooLarge(Exception):
    pass


class _Counted:
    """A request whose body is counted while it streams, whatever its header says."""

    def __init__(self, request: Request, most: int) -> None:
        self._receive, self._left = request.receive, most
        self.request = Request(request.scope, self._next)

    async def _next(self):
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise _TooLarge
        return message


def build_app(
    colorizer: Colorizer, site: Site, limits: Limits | None = None
) -> Starlette:
    """Builds the ASGI application.

    Args:
        colorizer: What colorizes.
        site: The page.
        limits: What a request may cost; None: the defaults.

    Returns:
        `Starlette` application; its lifespan ends the worker.
    """
    service = Service(colorizer, site, limits or Limits())

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        service.pool.shutdown(wait=True, cancel_futures=True)

    app = Starlette(
        routes=[
            Route("/colorize", service.colorize, methods=["POST"]),
            Route("/healthz", service.health),
            Route("/metrics", service.show_metrics),
            Route("/{name:path}", service.page),
        ],
        exception_handlers={
            HTTPException: _problem,
            ClientDisconnect: _gone,
            Exception: _fault,
        },
        lifespan=lifespan,
    )
    app.add_middleware(_Guard, service=service)
    app.state.service = service
    return app


class _Guard:
    """Counts answers by their status, and drops those that nobody reads."""

    def __init__(self, app, service):
        self._app, self._service = app, service

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        started = False

        async def send_in_time(message):
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self._service.metrics.count(scope["path"], message["status"])
            async with asyncio.timeout(self._service.limits.sending):
                await send(message)

        try:
            await self._app(scope, receive, send_in_time)
        except Exception:
            # The answer is Starlette's, who stands outside of this.
            if not started:
                self._service.metrics.count(scope["path"], 500)
            raise


async def _problem(request: Request, error: Exception) -> Response:
    # RFC 9457.
    if not isinstance(error, HTTPException):
        raise error
    return _as_problem(error.status_code, error.detail, error.headers)


async def _gone(request: Request, error: Exception) -> Response:
    return _as_problem(400, "the client went away")


async def _fault(request: Request, error: Exception) -> Response:
    return _as_problem(500, "a fault of the server; its log has more")


def _as_problem(status, detail, headers=None):
    content = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    return Response(
        json.dumps(content),
        status,
        dict(headers or {}),
        media_type="application/problem+json",
    )


def _suffix(kind):
    found = formats.BY_NAME.get(kind)
    return found.suffixes[0].lstrip(".") if found else "bin"
