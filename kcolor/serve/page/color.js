/**
 * From a photograph's pixels to what the network sees, and from its ab to RGB: the twin
 * of `kcolor/color/host.py`, with the same names and numbers, within one level of 255.
 *
 * What a reader would get wrong: pixels lie as a canvas gives them, four bytes each,
 * and a photograph that is gray in its file is measured on one channel, as in Python.
 */

import { pin } from "./pins.js";

/**
 * @typedef {object} Pixels
 * @property {Uint8ClampedArray} data  RGBA, gamma-encoded sRGB, upright.
 * @property {number} width
 * @property {number} height
 * @property {boolean} isGray  Whether the file holds one channel.
 *
 * @typedef {object} Planes  Small planes, row by row.
 * @property {Float32Array[]} planes  Two offsets, or two intercepts and two slopes.
 * @property {number} width
 * @property {number} height
 *
 * @typedef {object} Known  Colors that single pixels keep exactly.
 * @property {number[][]} points  x and y in the full-size picture.
 * @property {number[][]} colors  a* and b* / 110.
 */

const RGB_TO_XYZ = [
  [0.412453, 0.35758, 0.180423],
  [0.212671, 0.71516, 0.072169],
  [0.019334, 0.119193, 0.950227],
];
const RGB_TO_WHITE_XYZ = RGB_TO_XYZ.map((row) => {
  const sum = row[0] + row[1] + row[2];
  return row.map((weight) => weight / sum);
});
const WHITE_XYZ_TO_RGB = inverse(RGB_TO_WHITE_XYZ);
const DELTA = 6 / 29;
export const LIGHTNESS_SCALE = 50;
export const AB_SCALE = 110;
const AB_MIN = [-86.2, -107.9];
const AB_MAX = [98.3, 94.5];

// f(X/Xn) - f(Y/Yn) = a* / 500 and f(Z/Zn) - f(Y/Yn) = -b* / 200.
const AB_TO_F = [AB_SCALE / 500, -AB_SCALE / 200];
const F_LOW = [AB_MIN[0] / 500, -AB_MAX[1] / 200];
const F_HIGH = [AB_MAX[0] / 500, -AB_MIN[1] / 200];

// Guided upsampling: window in pixels of the small view, the step of f that is an edge.
const WINDOW = 7;
const EDGE = 0.05;
const GAIN = 0.6;
const STEPS = (1 << 14) - 1;

/** Undoes the sRGB curve; both in [0, 1]. @param {number} level */
export function linearize(level) {
  return level <= 0.04045 ? level / 12.92 : ((level + 0.055) / 1.055) ** 2.4;
}

/** Applies the sRGB curve; both in [0, 1]. @param {number} linear */
function linearToSrgb(linear) {
  return linear <= 0.0031308 ? 12.92 * linear : 1.055 * linear ** (1 / 2.4) - 0.055;
}

/** CIE's f, of which L* is 116 f - 16. @param {number} luminance */
function cubeRoot(luminance) {
  return luminance > DELTA ** 3
    ? Math.cbrt(luminance)
    : luminance / (3 * DELTA ** 2) + 4 / 29;
}

const LINEAR_8 = Float32Array.from({ length: 256 }, (_, at) => linearize(at / 255));
const ROOT_8 = LINEAR_8.map((_, at) => cubeRoot(linearize(at / 255)));
const ROOT = Float32Array.from({ length: 65536 }, (_, at) => cubeRoot(at / 65535));
// A step is what truncation leaves, so its middle speaks for it.
const OUT_8 = Uint8Array.from({ length: STEPS + 1 }, (_, at) =>
  linearToSrgb(Math.min((at + 0.5) / STEPS, 1)) * 255 + 0.5,
);
const WEIGHTS = RGB_TO_WHITE_XYZ[1];

/**
 * Measures L* of a small picture of 16 bits.
 * @param {Uint16Array} levels  One or three channels, interleaved.
 * @param {number} channels
 * @returns {Float32Array} L* / 50 - 1, in [-1, 1].
 */
export function lightness(levels, channels) {
  const result = new Float32Array(levels.length / channels);
  for (let at = 0; at < result.length; at++) {
    let luminance = 0;
    if (channels === 1) {
      luminance = linearize(levels[at] / 65535);
    } else {
      for (let channel = 0; channel < 3; channel++) {
        luminance += linearize(levels[3 * at + channel] / 65535) * WEIGHTS[channel];
      }
    }
    result[at] = (116 * cubeRoot(luminance) - 16) / LIGHTNESS_SCALE - 1;
  }
  return result;
}

/**
 * Splits one color.
 * @param {number[]} rgb  Levels from 0 to 255.
 * @returns {number[]} L* / 50 - 1, and a* and b* / 110.
 */
export function splitColor(rgb) {
  const linear = rgb.map((level) => linearize(level / 255));
  const [fx, fy, fz] = RGB_TO_WHITE_XYZ.map((row) =>
    cubeRoot(row[0] * linear[0] + row[1] * linear[1] + row[2] * linear[2]),
  );
  return [
    (116 * fy - 16) / LIGHTNESS_SCALE - 1,
    (500 * (fx - fy)) / AB_SCALE,
    (200 * (fy - fz)) / AB_SCALE,
  ];
}

/**
 * Merges a photograph's own lightness with the colors of its small view.
 * @param {Pixels} pixels  L* of the result is L* of this; alpha is kept.
 * @param {{lightness: Float32Array, ab: Float32Array, width: number, height: number}}
 *   view  Lightness and interleaved a* and b* / 110 of the small view.
 * @param {{saturation?: number, upsampling?: "guided" | "bilinear", known?: Known}}
 *   [options]
 * @returns {Uint8ClampedArray} RGBA of the picture's size.
 */
export function recolor(pixels, view, options = {}) {
  const { saturation = 1, upsampling = "guided", known } = options;
  const offsets = [0, 1].map((channel) => {
    const plane = new Float32Array(view.width * view.height);
    const factor = AB_TO_F[channel] * saturation;
    for (let at = 0; at < plane.length; at++) {
      plane[at] = view.ab[2 * at + channel] * factor;
    }
    return plane;
  });
  const planes = upsampling === "guided" ? localLines(view, offsets) : offsets;
  const small = { planes, width: view.width, height: view.height };
  if (known && known.points.length) {
    const wanted = known.colors.map((ab) => [ab[0] * AB_TO_F[0], ab[1] * AB_TO_F[1]]);
    const roots = known.points.map(([x, y]) => rootAt(pixels, x, y));
    pin(small, pixels, known.points, wanted, roots);
  }
  return merge(pixels, small);
}

/** f of one pixel, as `merge` measures it. */
function rootAt(pixels, x, y) {
  const at = 4 * (y * pixels.width + x);
  const { data } = pixels;
  if (pixels.isGray) return ROOT_8[data[at]];
  const luminance =
    LINEAR_8[data[at]] * WEIGHTS[0] +
    LINEAR_8[data[at + 1]] * WEIGHTS[1] +
    LINEAR_8[data[at + 2]] * WEIGHTS[2];
  return ROOT[Math.trunc(luminance * 65535 + 0.5)];
}

/** @param {Pixels} pixels @param {Planes} small */
function merge(pixels, small) {
  const { data, width, height, isGray } = pixels;
  const guided = small.planes.length === 4;
  const wide = small.planes.map((plane) => widen(plane, small, width));
  const rows = wide.map(() => new Float32Array(width));
  const out = new Uint8ClampedArray(data.length);
  const [[rx, , rz], [gx, , gz], [bx, , bz]] = WHITE_XYZ_TO_RGB;
  const tangent = 3 * DELTA ** 2;
  for (let y = 0; y < height; y++) {
    readRow(wide, small.height, width, height, y, rows);
    let at = 4 * y * width;
    for (let x = 0; x < width; x++, at += 4) {
      let luminance, fy;
      if (isGray) {
        luminance = LINEAR_8[data[at]];
        fy = ROOT_8[data[at]];
      } else {
        // Y and f from one rounded number, so that they belong to the same gray.
        const step = Math.trunc(
          (LINEAR_8[data[at]] * WEIGHTS[0] +
            LINEAR_8[data[at + 1]] * WEIGHTS[1] +
            LINEAR_8[data[at + 2]] * WEIGHTS[2]) * 65535 + 0.5,
        );
        luminance = step / 65535;
        fy = ROOT[step];
      }
      let ox = rows[0][x];
      let oz = rows[1][x];
      if (guided) {
        ox += rows[2][x] * fy;
        oz += rows[3][x] * fy;
      }
      // Behind the enlargement, as everywhere.
      ox = clip(ox, F_LOW[0], F_HIGH[0]);
      oz = clip(oz, F_LOW[1], F_HIGH[1]);
      // From f(X) - f(Y) and f(Z) - f(Y) to X - Y and Z - Y; below delta f is the
      // cube's tangent there.
      ox += fy;
      oz += fy;
      ox = (ox >= DELTA ? ox * ox * ox : DELTA ** 3 + (ox - DELTA) * tangent) - luminance;
      oz = (oz >= DELTA ? oz * oz * oz : DELTA ** 3 + (oz - DELTA) * tangent) - luminance;
      let red = rx * ox + rz * oz;
      let green = gx * ox + gz * oz;
      let blue = bx * ox + bz * oz;
      // Outside sRGB chroma is lost, L* is kept.
      const high = Math.max(red, green, blue) + 1e-6;
      const low = 1e-6 - Math.min(red, green, blue);
      const share = Math.min((1 - luminance) / high, luminance / low, 1);
      red = luminance + red * share;
      green = luminance + green * share;
      blue = luminance + blue * share;
      out[at] = OUT_8[(red * STEPS) | 0];
      out[at + 1] = OUT_8[(green * STEPS) | 0];
      out[at + 2] = OUT_8[(blue * STEPS) | 0];
      out[at + 3] = data[at + 3];
    }
  }
  return out;
}

/** Enlarges a small plane to full width. */
function widen(plane, small, width) {
  return resizeColumns(plane, small.width, small.height, width);
}

/** Reads one row of planes that have full width already. */
function readRow(wide, small, width, height, y, rows) {
  const place = clip((y + 0.5) * (small / height) - 0.5, 0, small - 1);
  const above = Math.min(Math.floor(place), Math.max(small - 2, 0));
  const below = Math.min(above + 1, small - 1);
  const share = place - above;
  wide.forEach((plane, at) => {
    const row = rows[at];
    const first = above * width;
    const second = below * width;
    for (let x = 0; x < width; x++) {
      row[x] = plane[first + x] + (plane[second + x] - plane[first + x]) * share;
    }
  });
}

/**
 * Offsets as lines of f, see `_local_lines` in Python.
 * @param {{lightness: Float32Array, width: number, height: number}} view
 * @param {Float32Array[]} offsets
 */
function localLines(view, offsets) {
  const { width, height } = view;
  const f = view.lightness.map((value) => (LIGHTNESS_SCALE * (value + 1) + 16) / 116);
  const small = [Math.max(1, Math.floor(width / 4)), Math.max(1, Math.floor(height / 4))];
  const quarter = area(f, width, height, ...small);
  const tall = resizeColumns(quarter, small[0], small[1], width);
  const low = transpose(
    resizeColumns(transpose(tall, width, small[1]), small[1], width, height),
    height,
    width,
  );
  const mean = box(low, width, height);
  const variance = box(low.map((value) => value * value), width, height);
  const slopes = [];
  const intercepts = [];
  for (const offset of offsets) {
    const product = box(low.map((value, at) => value * offset[at]), width, height);
    const average = box(offset, width, height);
    const slope = product.map((value, at) => {
      const spread = variance[at] - mean[at] * mean[at];
      return ((value - mean[at] * average[at]) * GAIN) / (spread + EDGE ** 2);
    });
    slopes.push(slope);
    intercepts.push(offset.map((value, at) => value - slope[at] * low[at]));
  }
  return [...intercepts, ...slopes];
}

/** Mean of a window around each pixel; the border is mirrored, its own pixel too. */
function box(plane, width, height) {
  const rows = boxRows(plane, width, height);
  return transpose(boxRows(transpose(rows, width, height), height, width), height, width);
}

function boxRows(plane, width, height) {
  const result = new Float32Array(plane.length);
  const half = (WINDOW - 1) / 2;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (let step = -half; step <= half; step++) {
        sum += plane[y * width + mirrored(x + step, width)];
      }
      result[y * width + x] = sum / WINDOW;
    }
  }
  return result;
}

function mirrored(at, length) {
  // fedcba|abcdef|fedcba, however short the row is.
  const period = 2 * length;
  const place = ((at % period) + period) % period;
  return place < length ? place : period - 1 - place;
}

/** Resizes bilinearly along rows; pixel centers as every resize agrees on them. */
function resizeColumns(plane, from, height, to) {
  const result = new Float32Array(to * height);
  for (let x = 0; x < to; x++) {
    const place = clip((x + 0.5) * (from / to) - 0.5, 0, from - 1);
    const left = Math.min(Math.floor(place), Math.max(from - 2, 0));
    const right = Math.min(left + 1, from - 1);
    const share = place - left;
    for (let y = 0; y < height; y++) {
      const start = plane[y * from + left];
      result[y * to + x] = start + (plane[y * from + right] - start) * share;
    }
  }
  return result;
}

/** Averages over areas with fractions of pixels. */
function area(plane, width, height, toWidth, toHeight) {
  const narrow = areaRows(plane, width, height, toWidth);
  const turned = areaRows(transpose(narrow, toWidth, height), height, toWidth, toHeight);
  return transpose(turned, toHeight, toWidth);
}

function areaRows(plane, from, height, to) {
  const result = new Float32Array(to * height);
  const scale = from / to;
  for (let x = 0; x < to; x++) {
    const start = x * scale;
    const end = Math.min(start + scale, from);
    for (let y = 0; y < height; y++) {
      let sum = 0;
      for (let at = Math.floor(start + 1e-9); at < end - 1e-9; at++) {
        sum += plane[y * from + at] * (Math.min(at + 1, end) - Math.max(at, start));
      }
      result[y * to + x] = sum / (end - start);
    }
  }
  return result;
}

/** Turns rows of a plane of `width` x `height` into columns. */
export function transpose(plane, width, height) {
  const result = new Float32Array(plane.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) result[x * height + y] = plane[y * width + x];
  }
  return result;
}

function clip(value, low, high) {
  return value < low ? low : value > high ? high : value;
}

function inverse(m) {
  const cofactor = (row, column) => {
    const [a, b] = [0, 1, 2].filter((at) => at !== row);
    const [c, d] = [0, 1, 2].filter((at) => at !== column);
    return (m[a][c] * m[b][d] - m[a][d] * m[b][c]) * ((row + column) % 2 ? -1 : 1);
  };
  const determinant = [0, 1, 2].reduce((sum, at) => sum + m[0][at] * cofactor(0, at), 0);
  return [0, 1, 2].map((row) =>
    [0, 1, 2].map((column) => cofactor(column, row) / determinant),
  );
}
