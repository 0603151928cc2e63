"""`kcolor serve`."""

import click

from kcolor.errors import DataError


@click.command()
@click.option(
    "--host",
    default="127.0.0.1",
    help="Address to listen on; 0.0.0.0 is open to the whole network.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    help="Port to listen on; 0 takes a free one.",
)
@click.option(
    "--open", "open_browser", is_flag=True, help="Open the page in a browser."
)
@click.option(
    "--page-only",
    is_flag=True,
    help="Serve the page without the HTTP interface; needs no extra.",
)
@click.option(
    "--save",
    type=click.Path(file_okay=False),
    metavar="DIR",
    help="Write the page's files to a folder, for any web server, and end.",
)
def serve(
    host: str, port: int, open_browser: bool, page_only: bool, save: str | None
) -> None:
    """Colorize in the browser, on the device itself, or over HTTP.

    \b
    kcolor serve --page-only --open      opens the page
    kcolor serve --save public           writes it for a web server
    kcolor serve                         page, POST /colorize, /healthz, /metrics, /docs
    """  # noqa: D301
    from kcolor.serve import site

    if save is not None:
        written = sum(1 for _ in site.save(site.Site(), save))
        click.echo(f"{written} files written to {save}", err=True)
        return
    if page_only:
        _serve_page(host, port, open_browser)
        return
    try:
        from kcolor.serve import server
    except ModuleNotFoundError as error:
        raise DataError(
            f"the HTTP interface needs {error.name}, which is not installed. Install "
            "it with: pip install 'kcolor[serve]'; the page alone needs nothing more: "
            "kcolor serve --page-only"
        ) from error
    server.run(host, port, lambda address: _ready(address, open_browser))


def _serve_page(host, port, open_browser):
    import threading

    from kcolor.serve.page_server import PageServer, named
    from kcolor.serve.site import NETWORK, Site

    site = Site()
    with PageServer((host, port), site) as server:
        # While the browser still loads the rest.
        threading.Thread(target=site.etag, args=[NETWORK], daemon=True).start()
        _ready(f"http://{named(host)}:{server.server_port}/", open_browser)
        server.serve_forever()


def _ready(address, open_browser):
    click.echo(f"Serving on {address} (Ctrl-C ends it)", err=True)
    if open_browser:
        import webbrowser

        # No browser finds its way to "every address of this machine".
        for every, one in (("//0.0.0.0:", "//127.0.0.1:"), ("//[::]:", "//[::1]:")):
            address = address.replace(every, one)
        webbrowser.open(address)
