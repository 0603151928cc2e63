"""Small files of a hundred kinds, and what color each of their pixels means.

The files are written by Pillow, OpenCV, tifffile (which compresses with imagecodecs)
and pypng, or by hand. kcolor reads with the first three itself, so a file is never read
back to learn what it means: that is worked out here from the values that went in, by
the formulas of IEC 61966-2-1 and the published primaries. Nothing of kcolor is used.
"""

import io
import itertools
import struct
import zlib
from dataclasses import dataclass

import cv2
import numpy as np
import tifffile
from PIL import Image, ImageCms

try:
    import imagecodecs
except ImportError:  # tifffile then writes fewer compressions
    imagecodecs = None
try:
    import png
except ImportError:
    png = None

HEIGHT, WIDTH = 24, 37
P3_TO_SRGB = np.array(
    [
        [1.2249401, -0.2249404, 0.0],
        [-0.0420569, 1.0420571, 0.0],
        [-0.0196376, -0.0786361, 1.0982735],
    ]
)
# Display P3's colorants as its published profile has them, adapted to D50.
P3_COLORANTS = {
    b"rXYZ": (0.51512, 0.24120, -0.00105),
    b"gXYZ": (0.29198, 0.69225, 0.04189),
    b"bXYZ": (0.15710, 0.06657, 0.78407),
}


@dataclass
class Kind:
    """One file.

    Attributes:
        name: Format, what is in it, and who wrote it.
        suffix: The file's suffix.
        data: The file.
        rgb: float array (height, width, 3), sRGB, 0 to 255: what is to be seen,
            upright; None: it has to be refused.
        alpha: float array (height, width), 0 to 1, or None.
        tolerance: Largest difference of a pixel, in levels of 255.
        refused: Regular expression of the reason.
    """

    name: str
    suffix: str
    data: bytes
    rgb: np.ndarray | None = None
    alpha: np.ndarray | None = None
    tolerance: float = 0.51
    refused: str = ""


def decode_srgb(values):
    values = np.asarray(values, "float64")
    return np.where(
        values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4
    )


def encode_srgb(linear):
    linear = np.clip(linear, 0, 1)
    return np.where(
        linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055
    )


def seen(stored, peak, curve=None, matrix=None):
    """Works out the sRGB levels that stored values stand for."""
    values = np.asarray(stored, "float64") / peak
    if values.ndim == 2:
        values = np.repeat(values[..., None], 3, axis=2)
    if curve is None and matrix is None:
        return 255 * values
    linear = (curve or decode_srgb)(values)
    return 255 * encode_srgb(linear if matrix is None else linear @ matrix.T)


def turned(picture, orientation):
    """Shows a stored picture upright, by the table of EXIF 2.3, section 4.6.4."""
    # What is the first row, and the first column, of the stored picture.
    return {
        1: lambda p: p,
        2: np.fliplr,
        3: lambda p: np.rot90(p, 2),
        4: np.flipud,
        5: lambda p: np.rot90(np.fliplr(p), 1),
        6: lambda p: np.rot90(p, -1),
        7: lambda p: np.rot90(np.fliplr(p), -1),
        8: lambda p: np.rot90(p, 1),
    }[orientation](picture)


def _picture():
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    red = 3000 + 58000 * x / (WIDTH - 1)
    green = 2000 + 60000 * y / (HEIGHT - 1)
    blue = 33000 + 25000 * np.sin(x / 7 + y / 5)
    return np.stack([red, green, blue], axis=2).astype("uint16")


RGB16 = _picture()
RGB8 = (RGB16 // 257).astype("uint8")
GRAY16 = RGB16[..., 1] // 2 + RGB16[..., 2] // 2
GRAY8 = (GRAY16 // 257).astype("uint8")
# Never so clear that a color stored times its alpha loses more than its last bits.
ALPHA16 = np.tile(np.linspace(30000, 65535, WIDTH).astype("uint16"), (HEIGHT, 1))
ALPHA8 = (ALPHA16 // 257).astype("uint8")


def profile(gamma=None, colorants=None, gray=False, name=None, padding=0):
    """Writes an ICC profile of version 2 by hand, with the sRGB curve or a power."""
    steps = np.arange(1024) / 1023
    curve = decode_srgb(steps) if gamma is None else steps**gamma
    points = np.rint(curve * 65535).astype(">u2").tobytes()
    curve = b"curv" + struct.pack(">II", 0, 1024) + points
    about = (name or "made for a test").encode() + b"\0"
    tags = {
        b"desc": b"desc" + struct.pack(">II", 0, len(about)) + about + bytes(78),
        b"wtpt": _xyz(0.9642, 1.0, 0.8249),
        b"cprt": b"text\0\0\0\0nobody\0" + bytes(padding),
    }
    if gray:
        tags[b"kTRC"] = curve
    else:
        srgb = {
            b"rXYZ": (0.43607, 0.22249, 0.01392),
            b"gXYZ": (0.38515, 0.71687, 0.09708),
            b"bXYZ": (0.14307, 0.06061, 0.71410),
        }
        tags |= {b"rTRC": curve, b"gTRC": curve, b"bTRC": curve}
        tags |= {key: _xyz(*value) for key, value in (colorants or srgb).items()}
    start, table, body = 132 + 12 * len(tags), b"", b""
    for key, tag in tags.items():
        table += key + struct.pack(">II", start + len(body), len(tag))
        body += tag + bytes(-len(tag) % 4)
    head = bytearray(128)
    struct.pack_into(">I", head, 0, start + len(body))
    struct.pack_into(">I", head, 8, 0x02400000)
    head[12:24] = b"mntr" + (b"GRAY" if gray else b"RGB ") + b"XYZ "
    struct.pack_into(">6H", head, 24, 2026, 1, 1, 0, 0, 0)
    head[36:40] = b"acsp"
    struct.pack_into(">3i", head, 68, 63190, 65536, 54061)
    return bytes(head) + struct.pack(">I", len(tags)) + table + body


def _xyz(*values):
    return struct.pack(">4sI3i", b"XYZ ", 0, *(round(65536 * v) for v in values))


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
PROFILES = {
    "srgb": (SRGB, None, None),
    "own-srgb": (profile(), None, None),
    "linear": (profile(1.0), lambda v: v, None),
    "gamma18": (profile(1.8), lambda v: v**1.8, None),
    "p3": (profile(None, P3_COLORANTS), None, P3_TO_SRGB),
    "p3-gamma18": (profile(1.8, P3_COLORANTS), lambda v: v**1.8, P3_TO_SRGB),
    "linear-named-srgb": (
        profile(1.0, name="GIMP built-in Linear sRGB"),
        lambda v: v,
        None,
    ),
    "p3-of-3-MB": (profile(None, P3_COLORANTS, padding=3 << 20), None, P3_TO_SRGB),
}
GRAY_PROFILES = {
    "gray-gamma18": (profile(1.8, gray=True), lambda v: v**1.8),
    "gray-linear": (profile(1.0, gray=True), lambda v: v),
    "gray-srgb": (profile(gray=True), None),
}
# LittleCMS works in 8 bits, ours in 16 with curves of 1,024 points.
CONVERTED_8, CONVERTED_16 = 1.6, 0.5


def all_kinds():
    """Returns every kind that can be written with what is installed."""
    kinds = [*_tiffs(), *_pngs(), *_jpegs(), *_webps(), *_simple()]
    return {kind.name: kind for kind in kinds}


def _tiff(array, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, metadata=None, software=False, **options)
    return buffer.getvalue()


def _tiffs():
    plain = {8: (RGB8, 255), 16: (RGB16, 65535)}
    grays = {8: (GRAY8, 255), 16: (GRAY16, 65535)}
    compressions = ["none", "adobe_deflate", "deflate", "lzma"]
    if imagecodecs:
        compressions += ["lzw", "zstd", "packbits"]
    for bits, name in itertools.product((8, 16), compressions):
        compression = None if name == "none" else name
        can_predict = name in ("adobe_deflate", "lzw", "zstd")
        for predictor in (False, True) if can_predict else (False,):
            for layout in ("contig", "planar", "tiles", "planar-tiles", "strips"):
                rgb, peak = plain[bits]
                options = {"photometric": "rgb", "compression": compression}
                if predictor:
                    options["predictor"] = 2
                if "planar" in layout:
                    rgb = np.ascontiguousarray(np.moveaxis(rgb, 2, 0))
                    options["planarconfig"] = "separate"
                if "tiles" in layout:
                    options["tile"] = (16, 16)
                if layout == "strips":
                    options["rowsperstrip"] = 5
                yield Kind(
                    f"tiff-rgb{bits}-{name}{'-predictor' * predictor}-{layout}",
                    ".tif",
                    _tiff(rgb, **options),
                    seen(plain[bits][0], peak),
                )
        gray, peak = grays[bits]
        for photometric in ("minisblack", "miniswhite"):
            inverted = photometric == "miniswhite"
            yield Kind(
                f"tiff-gray{bits}-{photometric}-{name}",
                ".tif",
                _tiff(gray, photometric=photometric, compression=compression),
                seen(peak - gray if inverted else gray, peak),
            )
    for bits, orders in itertools.product((8, 16), (">", "<")):
        for big in (False, True):
            known = orders == "<" or not big  # Pillow reads no big-endian BigTIFF.
            yield Kind(
                f"tiff-rgb{bits}-order{orders}-big{big}",
                ".tif",
                _tiff(plain[bits][0], photometric="rgb", byteorder=orders, bigtiff=big),
                seen(*plain[bits]) if known else None,
                refused="not supported",
            )
            yield Kind(
                f"tiff-gray{bits}-order{orders}-big{big}",
                ".tif",
                _tiff(grays[bits][0], byteorder=orders, bigtiff=big),
                seen(*grays[bits]) if known else None,
                refused="not supported",
            )
    for orientation in range(2, 9):
        tag = [(274, "H", 1, orientation, True)]
        for bits in (8, 16):
            for name, (array, peak) in {
                "rgb": plain[bits],
                "gray": grays[bits],
            }.items():
                yield Kind(
                    f"tiff-{name}{bits}-orientation{orientation}",
                    ".tif",
                    _tiff(
                        array,
                        photometric="rgb" if name == "rgb" else "minisblack",
                        extratags=tag,
                    ),
                    turned(seen(array, peak), orientation),
                )
        planes = np.ascontiguousarray(np.moveaxis(RGB16, 2, 0))
        yield Kind(
            f"tiff-rgb16-planar-orientation{orientation}",
            ".tif",
            _tiff(planes, photometric="rgb", planarconfig="separate", extratags=tag),
            turned(seen(RGB16, 65535), orientation),
        )
    for name, (icc, curve, matrix) in PROFILES.items():
        for bits, tolerance in ((8, CONVERTED_8), (16, CONVERTED_16)):
            same = curve is None and matrix is None
            yield Kind(
                f"tiff-rgb{bits}-profile-{name}",
                ".tif",
                _tiff(plain[bits][0], photometric="rgb", iccprofile=icc),
                seen(*plain[bits], curve, matrix),
                tolerance=0.51 if same else tolerance,
            )
    for name, (icc, curve) in GRAY_PROFILES.items():
        for bits, tolerance in ((8, CONVERTED_8), (16, CONVERTED_16)):
            yield Kind(
                f"tiff-gray{bits}-profile-{name}",
                ".tif",
                _tiff(grays[bits][0], iccprofile=icc),
                seen(*grays[bits], curve),
                tolerance=tolerance,
            )
    for bits, (rgb, alpha) in {8: (RGB8, ALPHA8), 16: (RGB16, ALPHA16)}.items():
        peak = (1 << bits) - 1
        share = alpha / peak
        times = np.rint(rgb * share[..., None]).astype(rgb.dtype)
        for kind, stored in (
            ("unassalpha", rgb),
            ("assocalpha", times),
            ("unspecified", rgb),
        ):
            for layout in ("contig", "planar"):
                array = np.dstack([stored, alpha])
                if layout == "planar":
                    array = np.ascontiguousarray(np.moveaxis(array, 2, 0))
                planar = "separate" if layout == "planar" else "contig"
                unknown = (bits, layout, kind) == (8, "planar", "unspecified")
                yield Kind(
                    f"tiff-rgba{bits}-{kind}-{layout}",
                    ".tif",
                    _tiff(
                        array,
                        photometric="rgb",
                        planarconfig=planar,
                        extrasamples=[kind],
                    ),
                    None if unknown else seen(rgb, peak),
                    None if kind == "unspecified" else share,
                    refused="not supported",
                    # What was multiplied by at least 0.46 has lost its last bit.
                    tolerance=2.1 if kind == "assocalpha" and bits == 8 else 0.51,
                )
        gray = {8: GRAY8, 16: GRAY16}[bits]
        yield Kind(
            f"tiff-graya{bits}",
            ".tif",
            _tiff(
                np.dstack([gray, alpha]),
                photometric="minisblack",
                planarconfig="contig",
                extrasamples=["unassalpha"],
            ),
            seen(gray, peak) if bits == 8 else None,
            share,
            refused="not supported",
        )
    orientation = [(274, "H", 1, 6, True)]
    yield Kind(
        "tiff-rgba16-orientation6",
        ".tif",
        _tiff(
            np.dstack([RGB16, ALPHA16]),
            photometric="rgb",
            extrasamples=["unassalpha"],
            extratags=orientation,
        ),
        turned(seen(RGB16, 65535), 6),
        turned(ALPHA16 / 65535, 6),
    )
    for pixels in (RGB8, RGB16, np.dstack([RGB16, ALPHA16]), GRAY16, GRAY8):
        channels = pixels.shape[2] if pixels.ndim == 3 else 1
        bits = pixels.dtype.itemsize * 8
        bgr = pixels if channels == 1 else pixels[..., [2, 1, 0, 3][:channels]]
        # OpenCV's own default is LZW.
        yield Kind(
            f"tiff-opencv-{channels}x{bits}",
            ".tif",
            cv2.imencode(".tiff", np.ascontiguousarray(bgr))[1].tobytes(),
            seen(pixels if channels == 1 else pixels[..., :3], (1 << bits) - 1),
            pixels[..., 3] / 65535 if channels == 4 else None,
        )
    for bits, order in itertools.product((2, 4, 10, 12, 14), "<>"):
        stored = GRAY16 >> (16 - bits)
        # Of 9 to 15 bits Pillow knows 12, little-endian, black is zero.
        for white in (0, 1):
            known = bits < 8 or (bits == 12 and order == "<" and white)
            peak = (1 << bits) - 1
            yield Kind(
                f"tiff-gray{bits}-order{order}-{'black' if white else 'white'}-is-zero",
                ".tif",
                _packed_tiff(stored, bits, white, order),
                seen(stored if white else peak - stored, peak) if known else None,
                refused="not supported",
            )
    yield Kind(
        "tiff-bilevel",
        ".tif",
        _tiff(GRAY8 > 127, photometric="minisblack"),
        seen(GRAY8 > 127, 1),
    )
    levels = np.random.default_rng(0).integers(0, 65536, (3, 256)).astype("uint16")
    yield Kind(
        "tiff-palette",
        ".tif",
        _tiff(GRAY8, photometric="palette", colormap=levels),
        # A palette's 16 bits are read as 8: Pillow takes the upper ones.
        seen(np.moveaxis(levels[:, GRAY8], 0, 2), 65535),
        tolerance=1.0,
    )
    cmyk = np.dstack([255 - RGB8, np.full_like(GRAY8, 40)])
    inks = (255 - cmyk[..., :3].astype(float)) * (255 - 40) / 255
    yield Kind(
        "tiff-cmyk8", ".tif", _tiff(cmyk, photometric="separated"), inks, tolerance=1.1
    )
    yield Kind(
        "tiff-cmyk16",
        ".tif",
        _tiff(cmyk.astype("uint16") * 257, photometric="separated"),
        inks,
        tolerance=1.1,
    )
    if imagecodecs:
        yield Kind(
            "tiff-jpeg-in-tiff",
            ".tif",
            _tiff(
                RGB8,
                photometric="rgb",
                compression="jpeg",
                subsampling=(1, 1),
                compressionargs={"level": 98},
            ),
            seen(RGB8, 255),
            tolerance=9,
        )
    refused = {
        "int8": (GRAY8 // 2).astype("int8"),
        "int16": (GRAY16 // 2).astype("int16"),
        "int32": GRAY16.astype("int32"),
        "float16": (GRAY16 / 65535).astype("float16"),
        "float32": (GRAY16 / 65535).astype("float32"),
        "float64": GRAY16 / 65535,
        "uint32": GRAY16.astype("uint32"),
    }
    for name, array in refused.items():
        yield Kind(f"tiff-gray-{name}", ".tif", _tiff(array), refused="not supported")
    for name, array in {
        "int16": (RGB16 // 2).astype("int16"),
        "float32": (RGB16 / 65535).astype("float32"),
        "uint32": RGB16.astype("uint32"),
    }.items():
        yield Kind(
            f"tiff-rgb-{name}",
            ".tif",
            _tiff(array, photometric="rgb"),
            refused="not supported",
        )
    for name, photometric in {"cielab8": RGB8, "cielab16": RGB16}.items():
        yield Kind(
            f"tiff-{name}",
            ".tif",
            _tiff(photometric, photometric="cielab"),
            refused="not supported",
        )
    yield Kind(
        "tiff-5-samples",
        ".tif",
        _tiff(
            np.dstack([RGB16, ALPHA16, ALPHA16]),
            photometric="rgb",
            extrasamples=["unassalpha", "unspecified"],
        ),
        refused="not supported",
    )


def _packed_tiff(stored, bits, photometric, order):
    # One strip, rows padded to bytes, highest bits first: TIFF 6.0, section 3.
    rows = []
    for row in stored:
        digits = "".join(f"{value:0{bits}b}" for value in row)
        digits += "0" * (-len(digits) % 8)
        rows.append(int(digits, 2).to_bytes(len(digits) // 8, "big"))
    strip = b"".join(rows)
    tags = {
        256: stored.shape[1],
        257: stored.shape[0],
        258: bits,
        259: 1,
        262: photometric,
        273: 8,
        277: 1,
        278: stored.shape[0],
        279: len(strip),
    }
    entries = b"".join(struct.pack(order + "HHII", t, 4, 1, v) for t, v in tags.items())
    mark = b"II" if order == "<" else b"MM"
    head = struct.pack(order + "2sHI", mark, 42, 8 + len(strip))
    return head + strip + struct.pack(order + "H", len(tags)) + entries + bytes(4)


def _chunk(name, body):
    return (
        struct.pack(">I", len(body))
        + name
        + body
        + struct.pack(">I", zlib.crc32(name + body))
    )


def _png(array, bits, extra=(), filters=False, palette=None):
    """Writes a PNG by hand; `extra` are chunks in front of the pixels."""
    channels = array.shape[2] if array.ndim == 3 else 1
    color = {1: 0, 2: 4, 3: 2, 4: 6}[channels] if palette is None else 3
    rows = []
    for row in array.reshape(len(array), -1):
        if bits == 16:
            packed = row.astype(">u2").tobytes()
        elif bits == 8:
            packed = row.astype("u1").tobytes()
        else:
            digits = "".join(f"{value:0{bits}b}" for value in row)
            digits += "0" * (-len(digits) % 8)
            packed = int(digits, 2).to_bytes(len(digits) // 8, "big")
        step = max(1, channels * bits // 8)
        if filters:  # "Sub": differences from the pixel before.
            line = np.frombuffer(packed, "u1").astype(int)
            line[step:] -= np.frombuffer(packed, "u1")[:-step]
            packed = (line % 256).astype("u1").tobytes()
        rows.append(bytes([int(filters)]) + packed)
    header = struct.pack(
        ">IIBBBBB", array.shape[1], array.shape[0], bits, color, 0, 0, 0
    )
    body = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header)
    for name, data in extra:
        body += _chunk(name, data)
    if palette is not None:
        at = [i for i, (name, _) in enumerate(extra) if name == b"tRNS"]
        if not at:
            body += _chunk(b"PLTE", palette)
    return body + _chunk(b"IDAT", zlib.compress(b"".join(rows))) + _chunk(b"IEND", b"")


def _iccp(data):
    return b"iCCP", b"any\0\0" + zlib.compress(data)


def _exif(orientation, order="<"):
    start = b"II*\0" if order == "<" else b"MM\0*"
    return start + struct.pack(
        order + "IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0
    )


def _pngs():
    for bits in (1, 2, 4, 8, 16):
        stored = GRAY16 >> (16 - bits)
        yield Kind(
            f"png-gray{bits}", ".png", _png(stored, bits), seen(stored, (1 << bits) - 1)
        )
    arrays = {8: (RGB8, GRAY8, ALPHA8), 16: (RGB16, GRAY16, ALPHA16)}
    for bits, (rgb, gray, alpha) in arrays.items():
        peak = (1 << bits) - 1
        share = alpha / peak
        full, gray_alpha = np.dstack([rgb, alpha]), np.dstack([gray, alpha])
        yield Kind(f"png-rgb{bits}", ".png", _png(rgb, bits), seen(rgb, peak))
        yield Kind(
            f"png-rgb{bits}-filtered",
            ".png",
            _png(rgb, bits, filters=True),
            seen(rgb, peak),
        )
        yield Kind(f"png-rgba{bits}", ".png", _png(full, bits), seen(rgb, peak), share)
        yield Kind(
            f"png-graya{bits}", ".png", _png(gray_alpha, bits), seen(gray, peak), share
        )
        for name, array, body, base in (
            ("rgb", rgb, struct.pack(">3H", *map(int, rgb[3, 4])), rgb),
            ("gray", gray, struct.pack(">H", int(gray[3, 4])), gray),
        ):
            clear = array == array[3, 4]
            clear = clear.all(axis=2) if array.ndim == 3 else clear
            yield Kind(
                f"png-{name}{bits}-color-key",
                ".png",
                _png(array, bits, [(b"tRNS", body)]),
                seen(base, peak),
                1.0 - clear,
            )
        for orientation in range(2, 9):
            extra = [(b"eXIf", _exif(orientation, "<>"[orientation % 2]))]
            yield Kind(
                f"png-rgb{bits}-orientation{orientation}",
                ".png",
                _png(rgb, bits, extra),
                turned(seen(rgb, peak), orientation),
            )
        tolerance = CONVERTED_8 if bits == 8 else CONVERTED_16
        for name, (icc, curve, matrix) in PROFILES.items():
            same = curve is None and matrix is None
            yield Kind(
                f"png-rgb{bits}-profile-{name}",
                ".png",
                _png(rgb, bits, [_iccp(icc)]),
                # Pillow unpacks a megabyte of a compressed profile, and says so.
                None if "3-MB" in name else seen(rgb, peak, curve, matrix),
                tolerance=0.51 if same else tolerance,
                refused="too large",
            )
        yield Kind(
            f"png-rgba{bits}-profile-p3",
            ".png",
            _png(full, bits, [_iccp(PROFILES["p3"][0])]),
            seen(rgb, peak, None, P3_TO_SRGB),
            share,
            tolerance=tolerance,
        )
        for name, (icc, curve) in GRAY_PROFILES.items():
            yield Kind(
                f"png-gray{bits}-profile-{name}",
                ".png",
                _png(gray, bits, [_iccp(icc)]),
                seen(gray, peak, curve),
                tolerance=tolerance,
            )
        gammas = {"linear": 100_000, "1.8": 55_556, "2.6": 38_462}
        for name, gamma in gammas.items():
            chunk = b"gAMA", struct.pack(">I", gamma)

            def curve(values, gamma=gamma):
                return values ** (100_000 / gamma)

            for array_name, array in (("rgb", rgb), ("gray", gray)):
                yield Kind(
                    f"png-{array_name}{bits}-gamma-{name}",
                    ".png",
                    _png(array, bits, [chunk]),
                    seen(array, peak, curve),
                    tolerance=tolerance,
                )
            yield Kind(
                f"png-rgb{bits}-gamma-{name}-under-srgb-chunk",
                ".png",
                _png(rgb, bits, [(b"sRGB", b"\0"), chunk]),
                seen(rgb, peak),
            )
            yield Kind(
                f"png-rgb{bits}-gamma-{name}-under-profile",
                ".png",
                _png(rgb, bits, [chunk, _iccp(PROFILES["p3"][0])]),
                seen(rgb, peak, None, P3_TO_SRGB),
                tolerance=tolerance,
            )
        places = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
        chrm = b"cHRM", struct.pack(">8I", *places)
        usual = b"gAMA", struct.pack(">I", 45_455)
        standard = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
        yield Kind(
            f"png-rgb{bits}-gamma-of-srgb",
            ".png",
            _png(rgb, bits, [usual]),
            seen(rgb, peak),
        )
        yield Kind(
            f"png-rgb{bits}-gamma-and-primaries-of-srgb",
            ".png",
            _png(rgb, bits, [usual, (b"cHRM", struct.pack(">8I", *standard))]),
            seen(rgb, peak),
        )
        yield Kind(
            f"png-rgb{bits}-primaries-p3",
            ".png",
            _png(rgb, bits, [usual, chrm]),
            seen(rgb, peak, None, P3_TO_SRGB),
            tolerance=tolerance,
        )
        yield Kind(
            f"png-rgb{bits}-cicp-p3",
            ".png",
            _png(rgb, bits, [(b"cICP", bytes([12, 13, 0, 1])), usual]),
            seen(rgb, peak, None, P3_TO_SRGB),
            tolerance=tolerance,
        )
        yield Kind(
            f"png-rgb{bits}-cicp-srgb-over-profile",
            ".png",
            _png(
                rgb, bits, [(b"cICP", bytes([1, 13, 0, 1])), _iccp(PROFILES["p3"][0])]
            ),
            seen(rgb, peak),
        )
        yield Kind(
            f"png-rgb{bits}-cicp-hdr",
            ".png",
            _png(rgb, bits, [(b"cICP", bytes([9, 16, 0, 1]))]),
            refused="cICP 9/16/0/1",
        )
    colors = np.random.default_rng(1).integers(0, 256, (256, 3)).astype("uint8")
    clear = np.random.default_rng(2).integers(100, 256, 256).astype("uint8")
    for bits in (1, 2, 4, 8):
        index = GRAY8 >> (8 - bits)
        count = 1 << bits
        yield Kind(
            f"png-palette{bits}",
            ".png",
            _png(index, bits, palette=colors[:count].tobytes()),
            seen(colors[index], 255),
        )
        chunks = [
            (b"PLTE", colors[:count].tobytes()),
            (b"tRNS", clear[:count].tobytes()),
        ]
        yield Kind(
            f"png-palette{bits}-alpha",
            ".png",
            _png(index, bits, chunks, palette=b""),
            seen(colors[index], 255),
            clear[index] / 255,
        )
    yield Kind(
        "png-palette8-profile-p3",
        ".png",
        _png(GRAY8, 8, [_iccp(PROFILES["p3"][0])], palette=colors.tobytes()),
        seen(colors[GRAY8], 255, None, P3_TO_SRGB),
        tolerance=CONVERTED_8,
    )
    yield Kind(
        "png-palette8-gamma-linear",
        ".png",
        _png(
            GRAY8, 8, [(b"gAMA", struct.pack(">I", 100_000))], palette=colors.tobytes()
        ),
        seen(colors[GRAY8], 255, lambda v: v),
        tolerance=CONVERTED_8,
    )
    if png:
        for bits, array in ((8, RGB8), (16, RGB16)):
            buffer = io.BytesIO()
            writer = png.Writer(
                WIDTH, HEIGHT, greyscale=False, bitdepth=bits, interlace=True
            )
            writer.write_array(buffer, array.ravel().tolist())
            yield Kind(
                f"png-rgb{bits}-interlaced",
                ".png",
                buffer.getvalue(),
                seen(array, (1 << bits) - 1),
            )


def _pillow(array, kind, mode=None, **options):
    image = Image.fromarray(array)
    buffer = io.BytesIO()
    (image.convert(mode) if mode else image).save(buffer, kind, **options)
    return buffer.getvalue()


def _jpegs():
    # At quality 98 without subsampling the coding is off by 3 levels here; a profile
    # makes up to twice as much of it in the dark.
    fine = {"quality": 98, "subsampling": 0}
    for name, options in {
        "baseline": {},
        "progressive": {"progressive": True},
        "optimized": {"optimize": True},
        "restarts": {"restart_marker_blocks": 1},
    }.items():
        yield Kind(
            f"jpeg-rgb-{name}",
            ".jpg",
            _pillow(RGB8, "JPEG", **fine, **options),
            seen(RGB8, 255),
            tolerance=4,
        )
        yield Kind(
            f"jpeg-gray-{name}",
            ".jpg",
            _pillow(GRAY8, "JPEG", quality=98, **options),
            seen(GRAY8, 255),
            tolerance=4,
        )
    yield Kind(
        "jpeg-rgb-not-ycbcr",
        ".jpg",
        _pillow(RGB8, "JPEG", keep_rgb=True, **fine),
        seen(RGB8, 255),
        tolerance=4,
    )
    inks = np.dstack([255 - RGB8, np.full_like(GRAY8, 40)])
    buffer = io.BytesIO()
    image = Image.frombytes("CMYK", (WIDTH, HEIGHT), inks.tobytes())
    image.save(buffer, "JPEG", **fine)
    yield Kind(
        "jpeg-cmyk",
        ".jpg",
        buffer.getvalue(),
        (255 - inks[..., :3].astype(float)) * (255 - 40) / 255,
        tolerance=5,
    )
    for orientation in range(2, 9):
        exif = b"Exif\0\0" + _exif(orientation, "<>"[orientation % 2])
        for name, array in (("rgb", RGB8), ("gray", GRAY8)):
            options = fine if name == "rgb" else {"quality": 98}
            yield Kind(
                f"jpeg-{name}-orientation{orientation}",
                ".jpg",
                _pillow(array, "JPEG", exif=exif, **options),
                turned(seen(array, 255), orientation),
                tolerance=4,
            )
    for name, (icc, curve, matrix) in PROFILES.items():
        if name == "p3-of-3-MB":
            options = {"exif": b"Exif\0\0" + _exif(8)}
        else:
            options = {}
        orientation = 8 if options else 1
        yield Kind(
            f"jpeg-rgb-profile-{name}",
            ".jpg",
            _pillow(RGB8, "JPEG", icc_profile=icc, **fine, **options),
            turned(seen(RGB8, 255, curve, matrix), orientation),
            tolerance=4 if curve is None and matrix is None else 14,
        )
    for name, (icc, curve) in GRAY_PROFILES.items():
        yield Kind(
            f"jpeg-gray-profile-{name}",
            ".jpg",
            _pillow(GRAY8, "JPEG", quality=98, icc_profile=icc),
            seen(GRAY8, 255, curve),
            tolerance=4 if curve is None else 10,
        )
    yield Kind(
        "jpeg-rgb-with-a-gray-profile",
        ".jpg",
        _pillow(RGB8, "JPEG", icc_profile=GRAY_PROFILES["gray-linear"][0], **fine),
        seen(RGB8, 255),
        tolerance=4,
    )


def _webps():
    options = {"lossless": True, "exact": True}
    full = np.dstack([RGB8, ALPHA8])
    yield Kind("webp-rgb", ".webp", _pillow(RGB8, "WEBP", **options), seen(RGB8, 255))
    yield Kind(
        "webp-rgba",
        ".webp",
        _pillow(full, "WEBP", **options),
        seen(RGB8, 255),
        ALPHA8 / 255,
    )
    yield Kind(
        "webp-lossy",
        ".webp",
        _pillow(RGB8, "WEBP", quality=100),
        seen(RGB8, 255),
        tolerance=22,  # Its color has half the size.
    )
    for orientation in range(2, 9):
        exif = b"Exif\0\0" + _exif(orientation)
        yield Kind(
            f"webp-orientation{orientation}",
            ".webp",
            _pillow(RGB8, "WEBP", exif=exif, **options),
            turned(seen(RGB8, 255), orientation),
        )
    for name, (icc, curve, matrix) in PROFILES.items():
        yield Kind(
            f"webp-profile-{name}",
            ".webp",
            _pillow(RGB8, "WEBP", icc_profile=icc, **options),
            seen(RGB8, 255, curve, matrix),
            tolerance=CONVERTED_8,
        )


def _bmp(array, bits):
    # Bottom row first, blue first, rows padded to 4 bytes.
    if bits == 24:
        rows = [row[:, ::-1].tobytes() for row in array[::-1]]
    else:
        four = np.dstack([array[..., ::-1], np.zeros(array.shape[:2], "u1")])
        rows = [row.tobytes() for row in four[::-1]]
    body = b"".join(row + bytes(-len(row) % 4) for row in rows)
    head = struct.pack(
        "<IiiHHIIiiII", 40, array.shape[1], array.shape[0], 1, bits, 0, 0, 0, 0, 0, 0
    )
    return struct.pack("<2sIII", b"BM", 54 + len(body), 0, 54) + head + body


def _simple():
    for bits in (24, 32):
        yield Kind(f"bmp-{bits}", ".bmp", _bmp(RGB8, bits), seen(RGB8, 255))
    yield Kind("bmp-gray", ".bmp", _pillow(GRAY8, "BMP"), seen(GRAY8, 255))
    yield Kind(
        "bmp-bilevel",
        ".bmp",
        _pillow((GRAY8 > 127), "BMP"),
        seen(GRAY8 > 127, 1),
    )
    yield Kind("gif-gray", ".gif", _pillow(GRAY8, "GIF"), seen(GRAY8, 255))
    few = Image.fromarray(GRAY8 >> 4)
    colors = np.random.default_rng(3).integers(0, 256, (16, 3)).astype("uint8")
    few = few.convert("P")
    few.putdata((GRAY8 >> 4).ravel().tolist())
    few.putpalette(colors.tobytes())
    for name, options in (("gif-palette", {}), ("gif-clear", {"transparency": 5})):
        buffer = io.BytesIO()
        few.save(buffer, "GIF", optimize=False, **options)
        clear = (GRAY8 >> 4) == 5
        yield Kind(
            name,
            ".gif",
            buffer.getvalue(),
            seen(colors[GRAY8 >> 4], 255),
            1.0 - clear if options else None,
        )
    size = f"{WIDTH} {HEIGHT}"
    for peak in (1, 15, 100, 255, 1023, 65535):
        rgb = np.rint(RGB16 / 65535 * peak).astype(int)
        gray = np.rint(GRAY16 / 65535 * peak).astype(int)
        # Values of other peaks than 255 and 65,535 are scaled and rounded once.
        tolerance = 0.51
        text = " ".join(map(str, gray.ravel()))
        wide = ">u2" if peak > 255 else "u1"
        yield Kind(
            f"pgm-text-{peak}",
            ".pgm",
            f"P2\n{size}\n{peak}\n{text}\n".encode(),
            seen(gray, peak),
            tolerance=tolerance,
        )
        yield Kind(
            f"pgm-{peak}",
            ".pgm",
            f"P5\n{size}\n{peak}\n".encode() + gray.astype(wide).tobytes(),
            seen(gray, peak),
            tolerance=tolerance,
        )
        text = " ".join(map(str, rgb.ravel()))
        yield Kind(
            f"ppm-text-{peak}",
            ".ppm",
            f"P3\n{size}\n{peak}\n{text}\n".encode(),
            seen(rgb, peak),
            tolerance=tolerance,
        )
        yield Kind(
            f"ppm-{peak}",
            ".ppm",
            f"P6\n{size}\n{peak}\n".encode() + rgb.astype(wide).tobytes(),
            seen(rgb, peak),
            tolerance=tolerance,
        )
    black = (GRAY8 > 127).astype(int)
    text = " ".join(map(str, black.ravel()))
    yield Kind("pbm-text", ".pnm", f"P1\n{size}\n{text}\n".encode(), seen(1 - black, 1))
