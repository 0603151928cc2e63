"""Tests for the page's files, the small server and the command."""

import gzip
import http.client
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from kcolor.cli.main import main
from kcolor.serve.page_server import PageServer
from kcolor.serve.site import POLICY, Site, save

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site():
    return Site()


@pytest.fixture
def ask(site):
    with PageServer(("127.0.0.1", 0), site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def request(method, path, headers=None):
            connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
            connection.request(method, path, headers=headers or {})
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            return answer.status, answer.headers, content

        yield request
        server.shutdown()


def test_the_page_is_served_on_ipv6(site):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    with PageServer(("::1", 0), site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        connection = http.client.HTTPConnection("::1", server.server_port)
        connection.request("GET", "/")
        assert connection.getresponse().status == 200
        connection.close()
        server.shutdown()


@pytest.mark.parametrize("option", ["--page-only", None])
def test_a_port_that_is_taken_is_named(option):
    if option is None:
        pytest.importorskip("uvicorn")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        arguments = ["serve", "--port", str(port), *filter(None, [option])]
        result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    assert result.output == f"Error: 127.0.0.1:{port}: Address already in use\n"


def test_the_saved_site_is_the_served_one(site, tmp_path):
    written = list(save(site, tmp_path))
    names = [path.relative_to(tmp_path).as_posix() for path in written]
    assert names == site.names()
    for path, name in zip(written, names, strict=True):
        assert path.read_bytes() == site.read(name)


def test_every_file_that_a_file_names_is_there(site):
    for name in site.names():
        if not name.endswith((".js", ".html")) or name.startswith("vendor/"):
            continue
        text = site.read(name).decode()
        for found in re.findall(r'(?:from |import\(|src=|href=)"([^"]+)"', text):
            assert found.removeprefix("./") in site.names(), (name, found)


def test_no_file_of_the_page_names_another_host(site):
    for name in site.names():
        if name.endswith((".js", ".html", ".css", ".webmanifest")):
            text = site.read(name).decode()
            if not name.startswith("vendor/"):
                found = set(re.findall(r"https?://[\w.]+", text))
                # Namespaces, which nobody loads.
                assert found <= {"http://ns.adobe.com", "http://www.w3.org"}, name


def test_the_service_worker_keeps_what_the_page_loads(site):
    text = site.read("service_worker.js").decode()
    files = re.search(r'FILES = "([^"]+)"', text)[1].split()
    assert {"./", "app.js", "worker.js", "network.tflite"} <= set(files)
    assert "vendor/litert_wasm_compat_internal.wasm" in files
    assert set(files) - {"./"} <= set(site.names())
    assert site.version in text


def test_the_page_has_a_strict_policy(site, ask):
    status, headers, content = ask("GET", "/")
    assert status == 200
    assert headers["Content-Security-Policy"].startswith(POLICY)
    assert POLICY in content.decode()
    assert "'unsafe-inline'" not in POLICY
    assert "'unsafe-eval'" not in POLICY


def test_a_file_that_is_the_same_is_not_sent_again(ask):
    etag = ask("GET", "/app.js")[1]["ETag"]
    status, _, content = ask("GET", "/app.js", {"If-None-Match": etag})
    assert (status, content) == (304, b"")


@pytest.mark.parametrize(
    "path", ["/site.py", "/../site.py", "/%2e%2e/site.py", "//etc/passwd", "/vendor"]
)
def test_nothing_else_is_served(ask, path):
    assert ask("GET", path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_changed(ask, method):
    assert ask(method, "/")[0] == 501


def test_the_network_is_made_once_for_all_who_ask(monkeypatch):
    made = []

    def slowly(*_):
        made.append(1)
        time.sleep(0.1)
        return b"network"

    monkeypatch.setattr("kcolor.serve.model.fix_sizes", slowly)
    site, read = Site(), []
    asking = [
        threading.Thread(target=lambda: read.append(site.read("network.tflite")))
        for _ in range(3)
    ]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert read == [b"network"] * 3 and made == [1]


def test_packed_files_are_the_files(site):
    assert gzip.decompress(site.packed("app.js")) == site.read("app.js")


def test_the_command_writes_the_site(tmp_path):
    result = CliRunner().invoke(main, ["serve", "--save", str(tmp_path / "public")])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "public" / "index.html").is_file()


def test_the_page_needs_neither_tensorflow_nor_a_web_framework():
    code = (
        "import sys, kcolor.serve.page_server; from kcolor.serve.site import Site;"
        "Site().read('network.tflite');"
        "print({name.split('.')[0] for name in sys.modules}"
        " & {'tensorflow', 'keras', 'starlette', 'uvicorn'} or 'none')"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "none"


def test_vendored_files_are_those_of_the_lock_file():
    command = [sys.executable, str(ROOT / "scripts" / "vendor_web"), "--check"]
    # Without npm: what is committed against what is noted.
    result = subprocess.run(command, capture_output=True, text=True, env={"PATH": ""})
    assert result.returncode == 0, result.stderr


TWINS = {
    "color": ("linearize", "lightness", "recolor"),
    "grain": ("factor",),
    "hints": ("drawHints",),
    "pins": ("pin",),
    "spread": ("spread",),
    "view": ("choose", "fit", "shrink", "surround", "cut"),
}


@pytest.mark.parametrize("module", TWINS)
def test_javascript_has_the_names_of_python(site, module):
    text = site.read(f"{module}.js").decode()
    for name in TWINS[module]:
        assert re.search(rf"^export function {name}\b", text, re.MULTILINE), name
