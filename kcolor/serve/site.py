"""The files of the page: what lies in `page/`, and the network made out of a preset.

The same files are served by `kcolor serve` and written by `--save`. A service worker
keeps them in the browser under a version that is a sum over all of them.
"""

import functools
import gzip
import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

from kcolor import files, presets
from kcolor.images import view

_FOLDER = Path(__file__).parent / "page"
NETWORK = "network.tflite"
# A worker's policy comes with its file, the page's with its header or meta element.
# The network's runtime is WebAssembly; nothing else is evaluated.
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
    "img-src 'self' blob:; connect-src 'self'; worker-src 'self'; manifest-src 'self'; "
    "base-uri 'none'; form-action 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY + "; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # The browser keeps a file, and asks each time whether it is still the same.
    "Cache-Control": "no-cache",
}
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".tflite": "application/octet-stream",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
}
_PLAIN = "text/plain; charset=utf-8"
# Only the server with the HTTP interface has something to say in these.
_OF_API = {"api.html", "api.js", "openapi.json"}


class Site:
    """The page's files, made when they are first asked for."""

    def __init__(self, model: str = "mobile", with_api: bool = False) -> None:
        """Finds the files.

        Args:
            model: A preset's name; its file must have a free picture size.
            with_api: Whether the description of the HTTP interface belongs to it.

        Raises:
            DataError: If there is no such preset.
        """
        self._preset = presets.find(model).to_run()
        self._reading = threading.Lock()
        found = [path for path in sorted(_FOLDER.rglob("*")) if path.is_file()]
        self._paths = {path.relative_to(_FOLDER).as_posix(): path for path in found}
        if not with_api:
            for name in _OF_API:
                self._paths.pop(name, None)

    def names(self) -> list[str]:
        """Lists the files, by their path from the page's own address."""
        return [*self._paths, NETWORK]

    @functools.cached_property
    def version(self) -> str:
        """Sum over all that the files are made of, 16 hexadecimal digits."""
        total = hashlib.sha256()
        for path in [*self._paths.values(), Path(__file__)]:
            total.update(path.name.encode() + b"\0" + path.read_bytes())
        total.update(self.read(NETWORK))
        return total.hexdigest()[:16]

    def read(self, name: str) -> bytes:
        """Reads a file.

        Args:
            name: One of `names()`.

        Returns:
            Its bytes.

        Raises:
            KeyError: If there is no such file.
            DataError: If the preset cannot be fixed to the page's canvases.
        """
        if name != NETWORK:
            return self._read(name)
        # Making it takes a second; who asks meanwhile waits, and does not make it, too.
        with self._reading:
            return self._read(name)

    @functools.cache  # noqa: B019 (a site lives as long as the process)
    def _read(self, name: str) -> bytes:
        if name == NETWORK:
            from kcolor.serve.model import fix_sizes

            return fix_sizes(self._preset.read_bytes(), view.canvases())
        content = self._paths[name].read_bytes()
        if name == "index.html" or name == "api.html":
            return content.replace(b"{{csp}}", POLICY.encode())
        if name == "service_worker.js":
            kept = [other for other in self.names() if other not in _UNKEPT]
            content = content.replace(b"{{version}}", self.version.encode())
            return content.replace(b"{{files}}", " ".join(["./", *kept]).encode())
        return content

    @functools.cache  # noqa: B019
    def packed(self, name: str) -> bytes:
        """Reads a file as gzip, see `read`."""
        return gzip.compress(self.read(name), 6, mtime=0)

    def etag(self, name: str) -> str:
        """Says which version of a file this is, as HTTP's `ETag` does."""
        return f'"{hashlib.sha256(self.read(name)).hexdigest()[:32]}"'


_UNKEPT = {"index.html", "service_worker.js", "vendor/vendor.lock.json", *_OF_API}


def media_type(name: str) -> str:
    """Says what kind of file a name means, for HTTP's `Content-Type`."""
    return _TYPES.get(Path(name).suffix, _PLAIN)


def save(site: Site, folder: Path | str) -> Iterator[Path]:
    """Writes the page for any web server that serves files over HTTPS.

    Args:
        site: The page.
        folder: Where to write; is made. Files of the same names are replaced.

    Yields:
        Path of each file, once it is written.

    Raises:
        OSError: If a file cannot be written.
    """
    for name in site.names():
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.writing(path) as file:
            file.write(site.read(name))
        yield path
