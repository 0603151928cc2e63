"""Tests for the whole server: a process, sockets, and clients of all kinds."""

import http.client
import io
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("uvicorn")

from photographs import photograph  # noqa: E402

SIZES = [(60, 90), (240, 320), (500, 333), (768, 1024)]
CLIENTS = 32


@pytest.fixture(scope="module")
def server():
    process = subprocess.Popen(
        [sys.executable, "-m", "kcolor", "serve", "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
    )
    said = process.stderr.readline()
    port = int(re.search(r"127\.0\.0\.1:(\d+)/", said)[1])
    yield port, process
    process.send_signal(signal.SIGTERM)
    rest = process.communicate(timeout=40)[1]
    # Nor what a form of the tests below has wrong.
    assert "Traceback" not in rest and "invalid character" not in rest
    assert process.returncode in (0, -signal.SIGTERM)


def ask(port, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def as_file(pixels):
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "PNG")
    return held.getvalue()


def memory(port):
    text = ask(port, "GET", "/metrics")[2].decode()
    return int(re.search(r"process_resident_memory_bytes (\d+)", text)[1]) / 2**20


def hammer(port, count, seed):
    """Sends requests from many clients; returns what each got, and the memory."""
    rng = random.Random(seed)
    photographs = [as_file(photograph(*size, seed=3)[..., 1]) for size in SIZES]
    hostile = [
        b"",
        b"x" * 5000,
        photographs[1][:3000],
        b"\x89PNG\r\n\x1a\n" + bytes(99),
    ]
    jobs = [
        rng.randrange(len(SIZES)) if rng.random() < 0.8 else None for _ in range(count)
    ]
    todo, lock = iter(enumerate(jobs)), threading.Lock()
    found, marks = [None] * count, []

    def client():
        while True:
            with lock:
                at, kind = next(todo, (None, None))
                if at is None:
                    return
                if at % 100 == 0:
                    marks.append((at, memory(port)))
            body = hostile[at % len(hostile)] if kind is None else photographs[kind]
            while True:
                status, headers, content = ask(port, "POST", "/colorize", body)
                if status != 503:
                    break
                assert headers["retry-after"] == "1"
                time.sleep(rng.uniform(0.05, 0.3))
            found[at] = (kind, status, content)

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found, marks


def check(found):
    expected = {}
    for kind, status, content in found:
        if kind is None:
            assert status == 422
        else:
            assert status == 200
            assert expected.setdefault(kind, content) == content
            size = Image.open(io.BytesIO(content)).size
            assert size == SIZES[kind][::-1]


def test_many_clients_get_each_their_own_photograph(server):
    found, _ = hammer(server[0], 120, 0)
    check(found)


@pytest.mark.slow
def test_two_thousand_requests_leave_memory_flat(server):
    found, marks = hammer(server[0], 2000, 1)
    check(found)
    after = [mib for at, mib in sorted(marks) if at >= 200]
    assert max(after) - after[0] < 50


def test_a_damaged_form_is_answered_and_not_logged(server):
    body = b"--x\r\nContent-Dis\rposition: form-data\r\n\r\n\r\n--x--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    status, headers, _ = ask(server[0], "POST", "/colorize", body, headers)
    assert status in (400, 422)
    assert headers["content-type"] == "application/problem+json"


def test_a_body_that_never_ends_is_cut_early(server):
    connection = socket.create_connection(("127.0.0.1", server[0]), timeout=30)
    sent = 0
    with connection:
        connection.sendall(
            b"POST /colorize HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        part = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
        try:
            while sent < 10_000:
                connection.sendall(part)
                sent += 1
        except OSError:
            pass
    assert sent < 200  # MiB of ten thousand


def test_a_length_of_ten_gigabytes_is_refused_before_the_body(server):
    with socket.create_connection(("127.0.0.1", server[0]), timeout=30) as connection:
        connection.sendall(
            b"POST /colorize HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000000\r\n\r\n"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


@pytest.mark.slow
def test_a_head_that_dawdles_is_cut(server):
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", server[0]), timeout=60) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: ")
        for _ in range(60):
            try:
                connection.sendall(b"b")
            except OSError:
                break
            connection.settimeout(0.5)
            try:
                if connection.recv(10) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
    assert time.monotonic() - started < 20


def test_what_runs_is_finished_when_the_server_ends():
    process = subprocess.Popen(
        [sys.executable, "-m", "kcolor", "serve", "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
    )
    port = int(re.search(r":(\d+)/", process.stderr.readline())[1])
    body = as_file(photograph(2000, 3000)[..., 1])
    got = []
    thread = threading.Thread(
        target=lambda: got.append(ask(port, "POST", "/colorize?format=png", body))
    )
    thread.start()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and b'"waiting":0' in ask(
        port, "GET", "/healthz"
    )[2].replace(b" ", b""):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGTERM)
    thread.join()
    process.communicate(timeout=40)
    assert got[0][0] == 200
    assert np.asarray(Image.open(io.BytesIO(got[0][2]))).shape == (2000, 3000, 3)
