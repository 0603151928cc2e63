"""Tests for the HTTP interface, in this process."""

import asyncio
import io
import json
import threading
import time

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("starlette")

from photographs import photograph  # noqa: E402
from starlette.testclient import TestClient  # noqa: E402

from kcolor.images import formats  # noqa: E402
from kcolor.inference.colorizer import Colorizer  # noqa: E402
from kcolor.inference.jobs import colorize_bytes  # noqa: E402
from kcolor.serve.app import Limits, build_app  # noqa: E402
from kcolor.serve.site import Site  # noqa: E402

LIMITS = Limits(body=200_000, megapixels=0.1, waiting=2, receiving=0.5)
PART = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
HINT = {"x": "50%", "y": 20, "color": "#a03020", "radius": 4}


@pytest.fixture(scope="module")
def colorizer():
    return Colorizer("mobile")


@pytest.fixture(scope="module")
def client(colorizer):
    with TestClient(build_app(colorizer, Site(with_api=True), LIMITS)) as client:
        yield client


def as_file(pixels, kind="png"):
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, kind)
    return held.getvalue()


@pytest.fixture(scope="module")
def gray():
    return as_file(photograph(90, 130)[..., 1])


def problem(answer, status):
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    content = answer.json()
    assert content["status"] == status
    return content.get("detail", "")


def test_a_body_comes_back_in_color(client, colorizer, gray):
    answer = client.post("/colorize?saturation=1.4", content=gray)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    assert answer.content == colorize_bytes(gray, colorizer, saturation=1.4)


def test_a_form_says_the_same_as_an_address(client, colorizer, gray):
    fields = {"saturation": "0.7", "format": "jpg", "quality": "80"}
    fields["hints"] = json.dumps([HINT])
    form = client.post("/colorize", data=fields, files={"image": ("a.png", gray)})
    address = client.post("/colorize", params=fields, content=gray)
    expected = colorize_bytes(
        gray, colorizer, saturation=0.7, format="jpg", quality=80, hints=[HINT]
    )
    assert form.headers["content-type"] == "image/jpeg"
    assert form.content == address.content == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("saturation", "nan"),
        ("saturation", "-1"),
        ("saturation", "much"),
        ("quality", "1e99"),
        ("quality", "0"),
        ("format", "exe"),
        ("format", "../../etc/passwd"),
        ("hints", "/etc/passwd"),
        ("hints", '"/etc/passwd"'),
        ("hints", "[" * 100_000),
        ("hints", '[{"x": 1e400, "y": 0, "color": "#000000"}]'),
        ("hints", '[{"x": 5000, "y": 0, "color": "#000000"}]'),
        ("hints", json.dumps([{**HINT, "radius": 1e300}])),
        ("hints", json.dumps([{**HINT, "radius": 1e308}])),
        ("hints", '[{"x": [], "y": {}, "color": 7}]'),
        ("hints", json.dumps([HINT] * 1001)),
        ("url", "http://127.0.0.1/"),
    ],
)
def test_a_wrong_parameter_is_named(client, gray, name, value):
    detail = problem(
        client.post("/colorize", data={name: value}, files={"image": ("a", gray)}), 422
    )
    assert name.rstrip("s") in detail


@pytest.mark.parametrize("query", ["saturation=0&format=jpg&nonsense=1", "quality"])
def test_a_form_with_parameters_in_the_address_is_refused(client, gray, query):
    answer = client.post(f"/colorize?{query}", files={"image": ("a.png", gray)})
    assert "all parameters must be in it" in problem(answer, 422)
    answer = client.post("/colorize?", files={"image": ("a.png", gray)})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\x89PNG\r\n\x1a\n" + bytes(80), b"II*\0" + bytes(99)]
)
def test_what_is_no_photograph_is_refused(client, content):
    problem(client.post("/colorize", content=content), 422)


def test_too_many_pixels_are_refused(client):
    content = as_file(np.zeros((400, 400), "uint8"))
    assert "megapixel" in problem(client.post("/colorize", content=content), 422)


def test_a_large_body_is_refused_by_its_header_and_by_its_length(client):
    assert problem(client.post("/colorize", content=bytes(300_000)), 413)
    files = {"image": ("a", bytes(300_000))}
    assert problem(client.post("/colorize", files=files), 413)


def test_a_form_that_is_none_is_refused(client):
    kind = {"content-type": "multipart/form-data; boundary=x"}
    for content in (b"--x\r\nnonsense", b"", b"--x--\r\n"):
        answer = client.post("/colorize", content=content, headers=kind)
        assert answer.status_code in (400, 422)


def test_two_photographs_in_a_form_are_refused(client, gray):
    files = [("image", ("a", gray)), ("image", ("b", gray))]
    problem(client.post("/colorize", files=files), 422)


def test_pages_of_other_sites_are_refused(client, gray):
    headers = {"sec-fetch-site": "cross-site"}
    answer = client.post("/colorize", content=gray, headers=headers)
    problem(answer, 403)
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/colorize", 405),
        ("POST", "/healthz", 405),
        ("GET", "/nothing", 404),
        ("GET", "/../../etc/passwd", 404),
        ("GET", "/%2e%2e/site.py", 404),
    ],
)
def test_what_there_is_not_is_a_problem(client, method, path, status):
    problem(client.request(method, path), status)


def test_one_that_is_too_many_is_told_to_come_again(colorizer, gray):
    hold = threading.Event()

    app = build_app(colorizer, Site(), LIMITS)
    service = app.state.service

    def work(parameters):
        hold.wait(20)
        return b"x", "PNG"

    service._colorize = work
    with TestClient(app) as client:
        answers = []
        threads = [
            threading.Thread(target=lambda: answers.append(post(client, gray)))
            for _ in range(LIMITS.waiting)
        ]
        for thread in threads:
            thread.start()
        while service.metrics.waiting < LIMITS.waiting:
            time.sleep(0.01)
        refused = post(client, gray)
        hold.set()
        for thread in threads:
            thread.join()
    problem(refused, 503)
    assert refused.headers["retry-after"] == "1"
    assert [answer.status_code for answer in answers] == [200] * LIMITS.waiting
    assert service.metrics.waiting == 0


def post(client, content):
    return client.post("/colorize", content=content)


def ask(app, method, path, receive, send, headers=()):
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": list(headers),
        "client": ("127.0.0.1", 1),
    }
    asyncio.run(app(scope, receive, send))


@pytest.mark.parametrize(
    ("part", "pause", "status"), [(1, 0.05, 408), (50_000, 0, 413)]
)
@pytest.mark.parametrize("kind", [b"image/png", b"multipart/form-data; boundary=x"])
def test_a_body_without_end_is_cut(colorizer, kind, part, pause, status):
    sent, received = [], []

    async def receive():
        await asyncio.sleep(pause)
        start = b"" if received else PART
        received.append(start + bytes(part))
        return {"type": "http.request", "body": received[-1], "more_body": True}

    async def send(message):
        sent.append(message)

    app = build_app(colorizer, Site(), LIMITS)
    ask(app, "POST", "/colorize", receive, send, [(b"content-type", kind)])
    assert sent[0]["status"] == status
    assert sum(map(len, received)) < LIMITS.body + 51_000


def test_an_answer_that_nobody_reads_is_dropped(colorizer):
    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        await asyncio.sleep(10)

    app = build_app(colorizer, Site(), Limits(sending=0.1))
    with pytest.raises(TimeoutError):
        ask(app, "GET", "/healthz", receive, send)


def test_health_and_metrics(client, gray):
    post(client, gray)
    client.get("/no/such/thing")
    assert client.get("/healthz").json()["status"] == "ok"
    text = client.get("/metrics").text
    assert 'kcolor_requests_total{path="/colorize",status="200"}' in text
    assert 'path="other",status="404"' in text
    assert "/no/such" not in text
    assert "process_resident_memory_bytes" in text


def test_a_fault_is_counted(colorizer, gray, monkeypatch):
    def fail(*_, **__):
        raise MemoryError

    monkeypatch.setattr("kcolor.serve.app.colorize_bytes", fail)
    app = build_app(colorizer, Site())
    with TestClient(app, raise_server_exceptions=False) as client:
        problem(client.post("/colorize", content=gray), 500)
        text = client.get("/metrics").text
    assert 'kcolor_requests_total{path="/colorize",status="500"} 1' in text


def test_all_pages_and_all_points_together_have_a_limit(client, gray):
    pages = [Image.fromarray(photograph(200, 300, seed)[..., 1]) for seed in range(2)]
    held = io.BytesIO()
    pages[0].save(held, "tiff", save_all=True, append_images=pages[1:])
    said = problem(client.post("/colorize", content=held.getvalue()), 422)
    assert "its 2 pages have over 0.1 megapixels together" in said
    stroke = {
        "points": [[number % 100, 5] for number in range(1001)],
        "color": "#ffffff",
    }
    hints = json.dumps([stroke, stroke])
    answer = client.post(
        "/colorize", data={"hints": hints}, files={"image": ("a.png", gray)}
    )
    assert "at most 2000 points" in problem(answer, 422)


def test_the_page_and_the_description_are_served(client):
    index = client.get("/")
    assert "default-src 'none'" in index.headers["content-security-policy"]
    assert client.get("/docs").text.count('src="api.js"') == 1
    again = client.get("/", headers={"if-none-match": index.headers["etag"]})
    assert again.status_code == 304


def test_the_description_names_every_format_and_path(client):
    described = client.get("/openapi.json").json()
    choices = described["components"]["schemas"]["format"]["enum"]
    assert choices == list(formats.CHOICES)
    assert set(described["paths"]) == {"/colorize", "/healthz", "/metrics"}
