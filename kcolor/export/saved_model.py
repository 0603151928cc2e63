"""SavedModel: what TF Serving serves as it is, image bytes in and image bytes out.

What a reader would get wrong: a batch holds pictures of different sizes, so pictures
travel as flat rows of a ragged tensor, and the network runs once per shape of canvas on
all pictures that share it. A decoder that fails would fail the whole batch; here its
picture alone is answered by an empty string.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import tensorflow as tf

from kcolor.color.constants import STRIDE
from kcolor.color.graph import join, split
from kcolor.errors import DataError
from kcolor.export import ENCODINGS, graphs, parity
from kcolor.export.model import KNOWN, Network, check_size, load, make_card
from kcolor.export.verified import write_verified
from kcolor.export.warmup import write_warmup
from kcolor.files import write_json
from kcolor.images import view
from kcolor.runtimes.saved_model import SavedModelPredictor

_JPEG_QUALITY = 95
_PNG_COMPRESSION = 1  # zlib's 6 takes four times as long and saves a tenth.
# Pixels that are recolored at a time: full-size float copies of a 12-megapixel picture
# would take gigabytes.
_STRIP = 1 << 20


def export_saved_model(
    model: keras.Model | Path | str,
    folder: Path | str,
    *,
    size: int = view.SIZE,
    encoding: str = "png",
    data: Any = None,
    limit: int | None = None,
    license_name: str = "not stated",
) -> dict[str, Any]:
    """Writes a verified SavedModel as the next version in a folder.

    Signatures: `serving_default`, `image_bytes` (string, `(B,)`: JPEG, PNG, BMP or GIF
    of any and different sizes) to `colorized_bytes` (string, `(B,)`, empty where a
    picture cannot be decoded); `serving_tensor`, `images` (uint8 RGB `(B, H, W, 3)`) to
    `colorized` (the same); `serving_ab`, `lightness` (float32 `(B, H, W, 1)`, sides
    multiples of 32) to `ab` (float32 `(B, H, W, 2)`), in `kcolor.color.graph`'s
    units; and, of a network that takes known colors, `serving_ab_known`, the same from
    `lightness` and `known` (float32 `(B, H, W, 3)`). The first two answer at the
    pictures' own sizes.

    Args:
        model: What `kcolor.export.model.load` takes.
        folder: Folder of the versions; it is made if it is not there.
        size: Side of the square canvas that the network sees, see
            `kcolor.images.view.canvases`.
        encoding: Of the answered bytes, `"png"` or `"jpeg"`.
        data: Source to verify on, which then also gives the cost in quality; None for
            the photographs inside scikit-image.
        limit: Number of pictures of `data` for the cost in quality; None for all.
        license_name: License of the weights, for the card in the folder.

    Returns:
        Dict as `write_verified` returns it; `file` is the version's folder.

    Raises:
        ValueError: If an argument is out of its range.
        DataError: If the model or a source cannot be used, or the answers are not what
            they must be; then nothing is left behind.
    """
    check_size((size,))
    if encoding not in ENCODINGS:
        raise ValueError(
            f"`encoding` must be one of {', '.join(ENCODINGS)}. Received: {encoding!r}"
        )
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder}: is a file; a SavedModel needs a folder")
    if (folder / "saved_model.pb").exists():
        raise DataError(
            f"{folder}: is a SavedModel itself; name the folder that holds versions"
        )
    network = load(model)
    shown = parity.pictures(data)
    contract = _contract(size, encoding, network.takes_known)
    card = make_card(network, license_name, **contract)

    def write(temporary: Path) -> None:
        _write(network, temporary, size, encoding)
        write_warmup(temporary, shown, size, network.takes_known)
        write_json(temporary / "assets.extra" / "kcolor.json", card)

    return write_verified(
        network,
        folder / str(_next_version(folder)),
        card=card,
        write=write,
        compare=lambda temporary: verify(temporary, network, shown, size, encoding),
        place=_next_to,
        data=data,
        side=size,
        limit=limit,
    )


@contextmanager
def _next_to(target: Path) -> Iterator[Path]:
    """Gives a temporary folder beside `target` and renames it to `target` at the end.

    TF Serving looks at numbers only, so it never sees the folder before its rename.
    """
    folder = target.parent
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder, prefix=".writing-"))
    try:
        yield temporary
        temporary.chmod(0o755)
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if is_new and not any(folder.iterdir()):
            folder.rmdir()


def _next_version(folder: Path) -> int:
    versions = [int(p.name) for p in folder.glob("*") if p.name.isdigit()]
    return max(versions, default=0) + 1


def _write(network: Network, folder: Path, size: int, encoding: str) -> None:
    # The archive finds the variables of its endpoints. Tracking the model as well would
    # write each of them twice.
    archive = keras.export.ExportArchive()
    flexible = graphs.any_size(network.plain)
    shapes = view.canvases(size)
    archive.add_endpoint(
        "serving_default",
        lambda image_bytes: {
            "colorized_bytes": _colorize_bytes(flexible, image_bytes, shapes, encoding)
        },
        input_signature=[tf.TensorSpec((None,), tf.string, name="image_bytes")],
    )
    archive.add_endpoint(
        "serving_tensor",
        lambda images: {"colorized": graphs.colorize_any(flexible, images, shapes)},
        input_signature=[tf.TensorSpec((None, None, None, 3), tf.uint8, name="images")],
    )
    lightness_spec, known_spec = (
        tf.TensorSpec((None, None, None, channels), tf.float32, name=name)
        for name, channels in (("lightness", 1), ("known", 3))
    )
    archive.add_endpoint(
        "serving_ab",
        lambda lightness: {"ab": graphs.predict(flexible, lightness)},
        input_signature=[lightness_spec],
    )
    if network.takes_known:
        hinted = graphs.any_size(network.model)
        archive.add_endpoint(
            "serving_ab_known",
            lambda lightness, known: {"ab": graphs.predict(hinted, lightness, known)},
            input_signature=[lightness_spec, known_spec],
        )
    archive.write_out(str(folder), verbose=False)


def _colorize_bytes(
    model: keras.Model, image_bytes: tf.Tensor, shapes: list[view.Size], encoding: str
) -> tf.Tensor:
    """Answers encoded pictures by encoded pictures, `(B,)` to `(B,)`."""
    flat, sizes = tf.map_fn(
        _decode,
        image_bytes,
        fn_output_signature=(
            tf.RaggedTensorSpec((None,), tf.uint8, ragged_rank=0),
            tf.TensorSpec((2,), tf.int32),
        ),
    )
    is_picture = sizes[:, 0] > 0
    choices = graphs.choose(sizes[:, 0], sizes[:, 1], shapes)

    def picture(i):
        return tf.reshape(flat[i], (1, sizes[i, 0], sizes[i, 1], 3))

    def on_canvas(choice, answers):
        canvas = tf.gather(tf.constant(shapes), choice)
        members = tf.where(tf.logical_and(is_picture, choices == choice))[:, 0]
        lightness = tf.map_fn(
            lambda i: graphs.surrounded(picture(i), canvas)[0][0],
            members,
            fn_output_signature=tf.TensorSpec((None, None, 1), tf.float32),
        )
        ab = graphs.give_back(lightness, graphs.predict(model, lightness))

        def finish(pair):
            position, i = pair
            box = graphs.fit((canvas[0], canvas[1]), sizes[i, 0], sizes[i, 1])
            planes = graphs.cut(ab[position][None], box)
            rgb = _join_strips(picture(i)[0], planes)
            if encoding == "jpeg":
                return tf.io.encode_jpeg(rgb, quality=_JPEG_QUALITY)
            return tf.io.encode_png(rgb, compression=_PNG_COMPRESSION)

        positions = tf.range(tf.size(members))
        encoded = tf.map_fn(finish, (positions, members), fn_output_signature=tf.string)
        return tf.tensor_scatter_nd_update(answers, members[:, None], encoded)

    def step(choice, answers):
        is_needed = tf.reduce_any(tf.logical_and(is_picture, choices == choice))
        # TensorFlow's convolutions fail on an empty batch.
        answers = tf.cond(
            is_needed, lambda: on_canvas(choice, answers), lambda: answers
        )
        return choice + 1, answers

    _, answers = tf.while_loop(
        lambda choice, _: choice < len(shapes),
        step,
        (0, tf.fill(tf.shape(image_bytes), "")),
        parallel_iterations=1,
    )
    return answers


def _decode(contents: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes one picture to flat uint8 RGB and its size; nothing and 0x0 if it fails.

    Errors inside a dataset's map can be ignored; an error anywhere else in the graph
    would fail the request.
    """

    def decode(contents):
        image = tf.io.decode_image(contents, channels=3, expand_animations=False)
        return tf.reshape(image, (-1,)), tf.shape(image)[:2]

    pictures = tf.data.Dataset.from_tensors(contents).map(decode).ignore_errors()
    nothing = tf.zeros((0,), tf.uint8), tf.zeros((2,), tf.int32)
    flat, size = pictures.reduce(nothing, lambda _, picture: picture)
    return flat, tf.ensure_shape(size, (2,))


def _join_strips(image: tf.Tensor, ab: tf.Tensor) -> tf.Tensor:
    """Recolors one picture, `(H, W, 3)`, a strip of rows at a time."""
    height, width = tf.shape(image)[0], tf.shape(image)[1]
    rows = tf.maximum(1, _STRIP // width)
    count = (height + rows - 1) // rows
    ab = tf.image.resize(ab, (height, width))[0]
    # Most pictures here are gray, and 256 grays are looked up in no time.
    red, green, blue = tf.unstack(image, axis=-1)
    is_gray = tf.reduce_all(tf.logical_and(red == green, green == blue))
    levels = tf.repeat(tf.range(256, dtype=tf.int32)[:, None], 3, axis=1)
    table, _ = split(tf.cast(levels, tf.uint8))

    def lightness_of(strip):
        return tf.cond(
            is_gray,
            lambda: tf.gather(table, tf.cast(strip[..., 0], tf.int32)),
            lambda: split(strip)[0],
        )

    strips = tf.TensorArray(
        tf.uint8, count, infer_shape=False, element_shape=(None, None, 3)
    )

    def recolor(i, strips):
        strip = slice(i * rows, tf.minimum((i + 1) * rows, height))
        picture = join(lightness_of(image[strip]), ab[strip])
        return i + 1, strips.write(i, picture)

    _, strips = tf.while_loop(
        lambda i, _: i < count, recolor, (0, strips), parallel_iterations=1
    )
    return strips.concat()


def verify(
    folder: Path,
    network: Network,
    images: list[np.ndarray],
    size: int = view.SIZE,
    encoding: str = "png",
) -> dict[str, Any]:
    """Loads a SavedModel and compares every signature with Keras.

    Args:
        folder: The SavedModel.
        network: What it was made from.
        images: List of uint8 RGB arrays `(height, width, 3)`.
        size: As for `export_saved_model`.
        encoding: As for `export_saved_model`. JPEG loses detail, so only the size of
            its answers is looked at; `serving_tensor` has the same pixels.

    Returns:
        Dict, see `kcolor.export.parity.Differences.figures`.

    Raises:
        DataError: If the folder cannot be loaded or an answer has the wrong shape.
    """
    predictor = SavedModelPredictor(str(folder), folder)
    shapes = view.canvases(size)
    differences = parity.Differences()
    for image in parity.resized(images, (size, size))[:, None]:
        differences.add_network(network, predictor, image)
    batch = list(parity.of_many_sizes(images))
    batch.append(np.repeat(batch[0][..., :1], 3, axis=-1))  # gray takes a shorter way
    for image in batch[:4]:
        expected = graphs.colorize_any(network.plain, image[None], shapes)
        differences.add_rgb(expected, predictor.predict_rgb(image[None]))
    contents = [tf.io.encode_png(image).numpy() for image in batch]
    # Alone first: a canvas that no picture of a request needs must not fail it.
    alone = [predictor.predict_bytes([content])[0] for content in contents[:4]]
    contents.insert(1, b"no picture")
    answers = predictor.predict_bytes(contents)
    if answers.pop(1) != b"" or predictor.predict_bytes([b"no picture"]) != [b""]:
        raise DataError("bytes that are no picture must be answered by an empty string")
    for image, answer in zip(batch[:4] + batch, alone + answers, strict=True):
        if encoding == "jpeg":
            found = cv2.imdecode(np.frombuffer(answer, np.uint8), cv2.IMREAD_COLOR)
            if found is None or found.shape != image.shape:
                raise DataError("an answer in JPEG has not its picture's size")
            continue
        expected = graphs.colorize_any(network.plain, image[None], shapes)
        differences.add_rgb(expected, tf.io.decode_png(answer).numpy()[None])
    return differences.figures()


def _contract(size: int, encoding: str, takes_known: bool) -> dict[str, Any]:
    ab = {
        "input": "lightness: float32 (B, H, W, 1), L* / 50 - 1, [-1, 1]; sides "
        f"multiples of {STRIDE}",
        "output": "ab: float32 (B, H, W, 2), a* and b* / 110, about [-1, 1]",
    }
    hinted = {**ab, "known": KNOWN}
    return {
        "signatures": {
            "serving_default": {
                "input": "image_bytes: string (B,), JPEG, PNG, BMP or GIF of any size",
                "output": f"colorized_bytes: string (B,), {encoding}, the same sizes; "
                "empty where a picture cannot be decoded",
            },
            "serving_tensor": {
                "input": "images: uint8 RGB (B, H, W, 3), 0..255",
                "output": "colorized: uint8 RGB (B, H, W, 3), 0..255",
            },
            "serving_ab": ab,
            **({"serving_ab_known": hinted} if takes_known else {}),
        },
        "canvases": [list(canvas) for canvas in view.canvases(size)],
        "tensorflow_serving_api": version("tensorflow-serving-api"),
    }
