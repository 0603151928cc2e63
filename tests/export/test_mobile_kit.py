"""Tests for export/mobile: its contract, and its Kotlin color math, compiled."""

import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

if find_spec("tensorflow") is None:
    pytest.skip("needs kcolor[train]", allow_module_level=True)

import tensorflow as tf

from kcolor.color.graph import join, split
from kcolor.images import view

KIT = Path(__file__).parents[2] / "export" / "mobile"
_MAIN = """
package kcolor

import java.io.*

fun main() {
    val input = DataInputStream(BufferedInputStream(System.`in`))
    val size = List(4) { input.readInt() }
    val pixels = IntArray(size[0] * size[1]) { input.readInt() }
    val ab = FloatArray(2 * size[2] * size[3]) { input.readFloat() }
    val output = DataOutputStream(BufferedOutputStream(System.out))
    LabMath.lightness(pixels).forEach { output.writeFloat(it) }
    val box = LabMath.fit(size[2], size[3], size[0], size[1])
    val small = FloatArray(box.height * box.width) { it.toFloat() }
    val canvas = LabMath.surround(small, box, size[2], size[3])
    LabMath.merge(pixels, size[1], size[0], ab, size[3], size[2])
    pixels.forEach { output.writeInt(it) }
    listOf(box.top, box.left, box.height, box.width).forEach { output.writeInt(it) }
    canvas.forEach { output.writeFloat(it) }
    val twice = FloatArray(2 * canvas.size) { canvas[it / 2] }
    LabMath.cut(twice, box, size[3]).forEach { output.writeFloat(it) }
    val chosen = LabMath.choose(size[0], size[1])
    listOf(chosen.first, chosen.second).forEach { output.writeInt(it) }
    output.flush()
}
"""


@pytest.mark.slow
def test_kotlin_color_math_is_that_of_kcolor(tmp_path):
    if shutil.which("kotlinc") is None:
        pytest.skip("needs kotlinc")
    (tmp_path / "main.kt").write_text(_MAIN)
    subprocess.run(
        ["kotlinc", "main.kt", str(KIT / "android" / "LabMath.kt")]
        + ["-include-runtime", "-d", "lab.jar"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (37, 53, 3), "uint8")
    rgb[:16] = np.arange(16, dtype="uint8")[:, None, None] * 17
    ab = rng.uniform(-1.2, 1.2, (8, 12, 2)).astype("float32")
    argb = np.concatenate([np.full((37, 53, 1), 255, "uint8"), rgb], axis=-1)
    request = (
        np.array([37, 53, 8, 12], ">i4").tobytes()
        + argb.tobytes()
        + ab.astype(">f4").tobytes()
    )
    answer = subprocess.run(
        ["java", "-jar", "lab.jar"],
        cwd=tmp_path,
        check=True,
        input=request,
        capture_output=True,
        env={**os.environ, "LC_ALL": "C"},
    ).stdout
    lightness = np.frombuffer(answer[: 4 * 37 * 53], ">f4").reshape(37, 53, 1)
    answer = answer[4 * 37 * 53 :]
    colorized = np.frombuffer(answer[: 4 * 37 * 53], "uint8").reshape(37, 53, 4)
    answer = answer[4 * 37 * 53 :]
    box = view.fit((8, 12), 37, 53)
    np.testing.assert_array_equal(np.frombuffer(answer[:16], ">i4"), box)
    small = np.arange(box.height * box.width, dtype="float32")
    canvas = view.surround(small.reshape(box.height, box.width), (8, 12))
    answer = answer[16:]
    seen = np.concatenate([canvas.ravel(), np.repeat(small, 2)])
    np.testing.assert_array_equal(np.frombuffer(answer[:-8], ">f4"), seen)
    chosen = tuple(np.frombuffer(answer[-8:], ">i4"))
    assert chosen == view.choose(37, 53, view.canvases())
    expected, _ = split(rgb)
    np.testing.assert_allclose(lightness, expected, atol=1e-5)
    picture = join(expected, tf.image.resize(ab, (37, 53)))
    difference = np.abs(np.asarray(picture, "int16") - colorized[..., 1:])
    assert difference.max() <= 1
    assert (colorized[..., 0] == 255).all()


def test_every_command_of_the_readme_is_one_that_kcolor_knows():
    from kcolor.cli.main import main

    text = (KIT / "README.md").read_text()
    commands = [line for line in text.splitlines() if line.startswith("kcolor export")]
    assert len(commands) == 4
    for command in commands:
        words = command.split(" #")[0].split()[2:]
        options = main.commands["export"].make_context("export", words).params
        assert options["format"] == "tflite"


@pytest.mark.parametrize("name", ["LabMath.kt", "Colorizer.kt"])
def test_kotlin_uses_the_names_of_the_contract(name):
    text = (KIT / "android" / name).read_text()
    if name == "Colorizer.kt":
        for tensor in ("image", "lightness", "ab", "serving_default"):
            assert f'"{tensor}"' in text
    else:
        from kcolor.color import constants

        canvases = ", ".join(f"{high} to {wide}" for high, wide in view.canvases())
        assert f"CANVASES = listOf({canvases})" in text
        assert f"LIGHTNESS_SCALE = {constants.LIGHTNESS_SCALE:g}f" in text
        assert f"AB_SCALE = {constants.AB_SCALE:g}f" in text
        for bound in (*constants.AB_MIN, *constants.AB_MAX):
            assert f"{bound:g}f" in text
