/**
 * What a network sees of a photograph: the twin of `kcolor/images/view.py`.
 *
 * The whole photograph is fitted, unsquashed, into the canvas whose aspect is nearest
 * to its own; its mirror image fills the rest. Sizes are whole numbers throughout.
 */

/** @typedef {[number, number]} Size  Height and width. */
/** @typedef {{top: number, left: number, height: number, width: number}} Box */

/** @param {Size} shape */
const aspect = (shape) => shape[1] / shape[0];

/**
 * Chooses the canvas that a photograph fills best.
 * @param {number} height @param {number} width @param {Size[]} shapes
 * @returns {Size}
 */
export function choose(height, width, shapes) {
  const ordered = [...shapes].sort((a, b) => aspect(a) - aspect(b));
  let at = 0;
  for (let next = 1; next < ordered.length; next++) {
    const limit = (aspect(ordered[next - 1]) * aspect(ordered[next])) ** 0.5;
    if (width > limit * height) at = next;
  }
  return ordered[at];
}

/**
 * Fits a photograph of any size into a canvas.
 * @param {Size} canvas @param {number} height @param {number} width
 * @returns {Box} The largest box of the photograph's aspect, centered.
 */
export function fit(canvas, height, width) {
  const rows = clip(Math.floor((2 * height * canvas[1] + width) / (2 * width)), canvas[0]);
  const columns = clip(
    Math.floor((2 * width * canvas[0] + height) / (2 * height)),
    canvas[1],
  );
  return {
    top: Math.floor((canvas[0] - rows) / 2),
    left: Math.floor((canvas[1] - columns) / 2),
    height: rows,
    width: columns,
  };
}

/**
 * Resizes a picture to a view: averages where it shrinks, bilinear where it grows.
 * @param {import("./color.js").Pixels} pixels
 * @param {number} height @param {number} width
 * @returns {{levels: Uint16Array, channels: number}} 16 bits, one or three channels.
 */
export function shrink(pixels, height, width) {
  const channels = pixels.isGray ? 1 : 3;
  let rows = pixels.height;
  let columns = pixels.width;
  let extentRows = rows;
  let extentColumns = columns;
  let levels = pixels.data;
  let stride = 4;
  // An odd last row is left out, but its place still counts.
  while (rows >= 8 * height && columns >= 8 * width) {
    levels = halve(levels, rows, columns, stride, channels);
    stride = channels;
    rows >>= 1;
    columns >>= 1;
    extentRows /= 2;
    extentColumns /= 2;
  }
  const down = average(rows, height, extentRows);
  const across = average(columns, width, extentColumns);
  const result = new Uint16Array(height * width * channels);
  const line = new Float32Array(columns * channels);
  for (let y = 0; y < height; y++) {
    line.fill(0);
    for (const [at, weight] of down[y]) {
      let source = at * columns * stride;
      for (let x = 0; x < columns; x++, source += stride) {
        for (let channel = 0; channel < channels; channel++) {
          line[x * channels + channel] += levels[source + channel] * weight;
        }
      }
    }
    for (let x = 0; x < width; x++) {
      for (let channel = 0; channel < channels; channel++) {
        let sum = 0;
        for (const [at, weight] of across[x]) sum += line[at * channels + channel] * weight;
        result[(y * width + x) * channels + channel] = sum * 257 + 0.5;
      }
    }
  }
  return { levels: result, channels };
}

function halve(levels, rows, columns, stride, channels) {
  const height = rows >> 1;
  const width = columns >> 1;
  const result = new Uint8ClampedArray(height * width * channels);
  const line = columns * stride;
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = 2 * y * line + 2 * x * stride;
      for (let channel = 0; channel < channels; channel++, to++) {
        const at = from + channel;
        const sum = levels[at] + levels[at + stride] + levels[at + line];
        result[to] = (sum + levels[at + line + stride] + 2) >> 2;
      }
    }
  }
  return result;
}

/** Which pixels each of `count` new ones is made of: lists of place and weight. */
function average(length, count, extent) {
  const scale = extent / count;
  return Array.from({ length: count }, (_, to) => {
    if (scale < 1) {
      const center = Math.min(Math.max((to + 0.5) * scale - 0.5, 0), length - 1);
      const at = Math.floor(center);
      const share = center - at;
      return [[at, 1 - share], [Math.min(at + 1, length - 1), share]];
    }
    const low = to * scale;
    const taps = [];
    for (let at = Math.floor(low); at <= Math.floor(low) + Math.ceil(scale); at++) {
      const weight = Math.min(at + 1, low + scale) - Math.max(at, low);
      if (at < length && weight > 0) taps.push([at, weight]);
    }
    const sum = taps.reduce((total, [, weight]) => total + weight, 0);
    return taps.map(([at, weight]) => [at, Math.fround(weight / sum)]);
  });
}

/**
 * Puts a view in the middle of a canvas and its mirror image around it.
 * @param {Float32Array} planes @param {number} channels @param {Box} box
 * @param {Size} canvas
 * @returns {Float32Array} Of the canvas' shape.
 */
export function surround(planes, channels, box, canvas) {
  const result = new Float32Array(canvas[0] * canvas[1] * channels);
  for (let y = 0, to = 0; y < canvas[0]; y++) {
    const row = mirrored(y - box.top, box.height) * box.width;
    for (let x = 0; x < canvas[1]; x++) {
      const from = (row + mirrored(x - box.left, box.width)) * channels;
      for (let one = 0; one < channels; one++, to++) result[to] = planes[from + one];
    }
  }
  return result;
}

/** gfedcb|abcdefgh|gfedcba, however short the row is. */
function mirrored(at, length) {
  if (length === 1) return 0;
  const period = 2 * length - 2;
  const place = ((at % period) + period) % period;
  return place < length ? place : period - place;
}

/**
 * Cuts the photograph's own part out of what lies on a canvas.
 * @param {Float32Array} planes @param {number} channels @param {Box} box
 * @param {Size} canvas
 */
export function cut(planes, channels, box, canvas) {
  const result = new Float32Array(box.height * box.width * channels);
  for (let y = 0; y < box.height; y++) {
    const start = ((box.top + y) * canvas[1] + box.left) * channels;
    const row = planes.subarray(start, start + box.width * channels);
    result.set(row, y * box.width * channels);
  }
  return result;
}

function clip(value, high) {
  return Math.min(Math.max(value, 1), high);
}
