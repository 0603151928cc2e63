"""What tests do on the page, as a person would."""

import base64
import io
from pathlib import Path

import numpy as np
from PIL import Image

READ = """async ([content, look]) => {
    const {call} = await import('./calls.js');
    const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
    await call('open', new Blob([bytes]));
    const {blob} = await call('write', look, 'png');
    return await new Promise((done) => {
        const reader = new FileReader();
        reader.onload = () => done(reader.result.split(',')[1]);
        reader.readAsDataURL(blob);
    });
}"""


def as_file(pixels, kind="png", **options):
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, kind, **options)
    return held.getvalue()


def upload(page, *files):
    page.set_input_files(
        "#file",
        [
            {"name": name, "mimeType": "image/png", "buffer": content}
            for name, content in files
        ],
    )


def wait_for(page, text, selector="#status"):
    from playwright.sync_api import expect

    expect(page.locator(selector)).to_contain_text(text, timeout=60_000)


def color_in_page(page, content, saturation=1.0, hints=()):
    look = {"saturation": saturation, "hints": list(hints)}
    png = page.evaluate(READ, [base64.b64encode(content).decode(), look])
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(png))))


def content_of(download):
    return Path(download.value.path()).read_bytes()
