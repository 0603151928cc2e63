/**
 * What known colors tell of the rest of a picture, by Gaussian process regression: the
 * twin of `kcolor/color/regression.py`, where the numbers are explained.
 */

import { AB_SCALE } from "./color.js";
import { leastSquares } from "./pins.js";

const ERRORS = [7.3, 6, 6];
const PIXELS = [37, 150, 440];
const LIGHTNESS = [14, 16, 16];
const AB = [9, 18, 10.5];
const NOISE = 6;
const CELL = 8;
const MOST = 96;

/**
 * Estimates everywhere what is missing to the true colors.
 * @param {{lightness: Float32Array, ab: Float32Array, width: number, height: number}}
 *   view  L*, and predicted a* and b* / 110, interleaved.
 * @param {Float32Array} known  a* and b* / 110 and a mask, 0 or 1; not all 0.
 * @param {Float32Array} moved  As `view.ab`, what is to be corrected.
 * @returns {Float32Array} a* and b* / 110, to be added to `moved`.
 */
export function regress(view, known, moved) {
  const { lightness, ab, width, height } = view;
  const place = (at) => [
    at % width,
    Math.floor(at / width),
    lightness[at],
    ab[2 * at] * AB_SCALE,
    ab[2 * at + 1] * AB_SCALE,
  ];
  const patches = together(known, width, (at) => [
    ...place(at),
    ...[0, 1].map((one) => (known[3 * at + one] - moved[2 * at + one]) * AB_SCALE),
  ]);
  const alike = patches.map((one, row) =>
    patches.map((other, column) => kernel(one, other) + (row === column ? NOISE ** 2 : 0)),
  );
  const missing = patches.map((one) => one.slice(5));
  const weights = leastSquares(alike, missing);
  const result = new Float32Array(2 * width * height);
  for (let at = 0; at < width * height; at++) {
    const pixel = place(at);
    let [a, b] = [0, 0];
    for (let n = 0; n < patches.length; n++) {
      const share = kernel(pixel, patches[n]);
      a += share * weights[n][0];
      b += share * weights[n][1];
    }
    result[2 * at] = a / AB_SCALE;
    result[2 * at + 1] = b / AB_SCALE;
  }
  return result;
}

function kernel(one, other) {
  const pixels = (one[0] - other[0]) ** 2 + (one[1] - other[1]) ** 2;
  const light = (one[2] - other[2]) ** 2;
  const ab = (one[3] - other[3]) ** 2 + (one[4] - other[4]) ** 2;
  let total = 0;
  for (let k = 0; k < ERRORS.length; k++) {
    const far = pixels / PIXELS[k] ** 2 + light / LIGHTNESS[k] ** 2 + ab / AB[k] ** 2;
    total += ERRORS[k] ** 2 * Math.exp(-far / 2);
  }
  return total;
}

/** Means of what `read` gives over the known pixels of each cell; few of them. */
function together(known, width, read) {
  for (let cell = CELL; ; cell *= 2) {
    const cells = new Map();
    for (let at = 0; 3 * at < known.length; at++) {
      if (!known[3 * at + 2]) continue;
      const row = Math.floor(Math.floor(at / width) / cell);
      const name = row * width + Math.floor((at % width) / cell);
      if (!cells.has(name)) cells.set(name, []);
      cells.get(name).push(at);
    }
    if (cells.size > MOST) continue;
    return Array.from(cells.values(), (members) => {
      const sum = read(members[0]);
      for (const at of members.slice(1)) read(at).forEach((value, n) => (sum[n] += value));
      return sum.map((value) => value / members.length);
    });
  }
}
