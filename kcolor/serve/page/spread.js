/**
 * Known colors, spread over the small view along equal lightness, up to the edges: the
 * twin of `kcolor/color/spread.py`, where the numbers are explained.
 *
 * What a reader would get wrong: what decides which known pixel is nearest are whole
 * numbers, made of steps that are rounded to 32 bits as NumPy does it; otherwise ties
 * fall to another side.
 */

import { AB_SCALE, LIGHTNESS_SCALE, transpose } from "./color.js";
import { regress } from "./regression.js";

const STEP = 0.15;
const CHANGE = 3.5;
const AB_COUNTS = 0.5;
const REACH = 70;
const LIGHTNESS_REACH = 30;
const HEARD_REACH = 280;
const HEARD_LIGHTNESS_REACH = 20;
const AREA = 32;
const TOLD_REACH = 400;
const SEAM = 3;
const ROUNDS = 8;
const PRECISION = 3;
const FAR = 1e6;
const UNITS = 1024;
const fround = Math.fround;

/**
 * Says whether to ask a network what it makes of known colors.
 * @param {Float32Array} known  As `spread` takes it.
 * @param {number} width  Pixels in a row.
 * @returns {boolean} Whether colors are known in one small area and nowhere else.
 */
export function isHeard(known, width) {
  let [left, right, top, bottom] = [Infinity, -Infinity, Infinity, -Infinity];
  for (let at = 0; 3 * at < known.length; at++) {
    if (!known[3 * at + 2]) continue;
    const [x, y] = [at % width, Math.floor(at / width)];
    [left, right] = [Math.min(left, x), Math.max(right, x)];
    [top, bottom] = [Math.min(top, y), Math.max(bottom, y)];
  }
  const size = Math.max(right - left, bottom - top);
  return size >= 0 && size < AREA;
}

/**
 * Makes predicted colors agree with known ones.
 * @param {{lightness: Float32Array, ab: Float32Array, width: number, height: number}}
 *   view  L* / 50 - 1 and predicted a* and b* / 110, interleaved.
 * @param {Float32Array} known  a* and b* / 110 and a mask, 0 or 1, interleaved.
 * @param {Float32Array} [hinted]  As `view.ab`, from a network that has been told them.
 * @returns {Float32Array} a* and b* / 110, equal to `known` where the mask is 1.
 */
export function spread(view, known, hinted) {
  const { ab, width, height } = view;
  const count = width * height;
  const mask = Uint8Array.from({ length: count }, (_, at) => Number(known[3 * at + 2] > 0));
  if (!mask.includes(1)) return ab;
  const lightness = view.lightness.map((value) => fround(value + 1) * LIGHTNESS_SCALE);
  const planes = [lightness, channel(ab, 0, 2), channel(ab, 1, 2)];
  for (const plane of planes.slice(1)) {
    for (let at = 0; at < count; at++) plane[at] *= AB_SCALE * AB_COUNTS;
  }
  const right = stepLengths(planes, width, height);
  const turned = planes.map((plane) => transpose(plane, width, height));
  const down = stepLengths(turned, height, width); // of columns: (W, H - 1)
  const { length, nearest } = shortestWays(mask, right, down, width, height);
  // The nearest known ab, its L*, and 1; all averaged across the seams.
  const given = [
    Float32Array.from(nearest, (at) => known[3 * at]),
    Float32Array.from(nearest, (at) => known[3 * at + 1]),
    Float32Array.from(nearest, (at) => lightness[at]),
    new Float32Array(count).fill(1),
  ].map((plane) => smooth(plane, right, down, width, height));
  const differs = Float32Array.from(lightness, (own, at) => own - given[2][at] / given[3][at]);
  const moved = Float32Array.from(ab);
  if (hinted) {
    for (let at = 0; at < moved.length; at++) {
      const pixel = at >> 1;
      const near = nearness(length[pixel] / HEARD_REACH, differs[pixel] / HEARD_LIGHTNESS_REACH);
      moved[at] += near * (hinted[at] - ab[at]);
    }
  }
  const told = regress({ lightness, ab, width, height }, known, moved);
  const result = new Float32Array(2 * count);
  for (let at = 0; at < result.length; at++) {
    const pixel = at >> 1;
    const certain = nearness(length[pixel] / REACH, differs[pixel] / LIGHTNESS_REACH);
    const own = moved[at] + nearness(length[pixel] / TOLD_REACH) * told[at];
    result[at] = mask[pixel]
      ? known[3 * pixel + (at & 1)]
      : own + certain * (given[at & 1][pixel] / given[3][pixel] - own);
  }
  return result;
}

function nearness(far, differs = 0) {
  return Math.exp(-(far * far + differs * differs));
}

function channel(values, one, count) {
  return Float32Array.from({ length: values.length / count }, (_, at) => values[count * at + one]);
}

/** Length of the step from each pixel to the next in its row: (height, width - 1). */
function stepLengths(planes, width, height) {
  const result = new Float32Array(Math.max(width - 1, 0) * height);
  for (let y = 0, to = 0; y < height; y++) {
    const row = y * width;
    for (let x = 0; x + 1 < width; x++, to++) {
      // Over three pixels, as wide as the view's edges are.
      const start = row + Math.max(x - 1, 0);
      const end = row + Math.min(x + 2, width - 1);
      let total = 0;
      for (const plane of planes) {
        const change = fround(plane[end] - plane[start]);
        total = fround(total + fround(change * change));
      }
      result[to] = fround(STEP) + fround(total * fround(CHANGE ** -2));
    }
  }
  return result;
}

/**
 * Shortest ways to known pixels, and which one each leads to: sweeps to all sides. Both
 * are in one number, whole lengths times `count` and the place.
 */
function shortestWays(mask, right, down, width, height) {
  const count = width * height;
  const [rights, downs] = [right, down].map((steps) =>
    Float64Array.from(steps, (step) => Math.floor(step * UNITS + 0.5) * count),
  );
  const ways = Float64Array.from(mask, (known, at) => (known ? 0 : FAR * UNITS * count) + at);
  for (let round = 0; round < ROUNDS; round++) {
    const before = ways.slice();
    sweepRows(ways, rights, width, height, 1);
    sweepRows(ways, rights, width, height, -1);
    sweepColumns(ways, downs, width, height, 1);
    sweepColumns(ways, downs, width, height, -1);
    let change = 0;
    for (let at = 0; at < count; at++) change = Math.max(change, before[at] - ways[at]);
    if (change < PRECISION * UNITS * count) break;
  }
  return {
    length: Float32Array.from(ways, (way) => Math.floor(way / count) / UNITS),
    nearest: Int32Array.from(ways, (way) => way % count),
  };
}

function sweepRows(ways, right, width, height, direction) {
  for (let y = 0; y < height; y++) {
    for (let n = 1; n < width; n++) {
      const x = direction > 0 ? n : width - 1 - n;
      const from = x - direction;
      const way = ways[y * width + from] + right[y * (width - 1) + Math.min(x, from)];
      if (way < ways[y * width + x]) ways[y * width + x] = way;
    }
  }
}

function sweepColumns(ways, down, width, height, direction) {
  for (let n = 1; n < height; n++) {
    const y = direction > 0 ? n : height - 1 - n;
    const from = y - direction;
    const step = Math.min(y, from);
    for (let x = 0; x < width; x++) {
      const way = ways[from * width + x] + down[x * (height - 1) + step];
      if (way < ways[y * width + x]) ways[y * width + x] = way;
    }
  }
}

/** Sums over ways along rows and columns, each weighted by exp(-length / seam). */
function smooth(plane, right, down, width, height) {
  const rows = bothWays(plane, right, width, height);
  const columns = bothWays(transpose(rows, width, height), down, height, width);
  return transpose(columns, height, width);
}

function bothWays(plane, lengths, width, height) {
  const result = new Float32Array(plane.length);
  const forth = new Float32Array(width);
  for (let y = 0; y < height; y++) {
    const row = y * width;
    const steps = y * (width - 1);
    let carried = 0;
    for (let x = 0; x < width; x++) {
      const keep = x ? Math.exp(-lengths[steps + x - 1] / SEAM) : 0;
      carried = plane[row + x] + carried * keep;
      forth[x] = carried;
    }
    carried = 0;
    for (let x = width - 1; x >= 0; x--) {
      const keep = x + 1 < width ? Math.exp(-lengths[steps + x] / SEAM) : 0;
      carried = plane[row + x] + carried * keep;
      result[row + x] = forth[x] + carried - plane[row + x];
    }
  }
  return result;
}
