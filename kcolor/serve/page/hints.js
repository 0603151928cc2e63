/**
 * Known colors by hand, drawn on the small view: the twin of `draw_hints` in
 * `kcolor/inference/hints.py`. A hint is what that module reads from JSON, with numbers
 * in pixels of the photograph as it is seen.
 *
 * @typedef {object} Hint
 * @property {[number, number][]} points  x and y; one is a dot, several are a stroke.
 * @property {string} color  "#rrggbb"
 * @property {number} radius  Half the width of dot or stroke, in pixels.
 */

import { splitColor } from "./color.js";

/** @param {string} text  "#rrggbb" @returns {number[]} Levels from 0 to 255. */
export function parseColor(text) {
  return [1, 3, 5].map((at) => Number.parseInt(text.slice(at, at + 2), 16));
}

/**
 * Draws hints on the small view of a picture.
 * @param {Hint[]} hints  Of two that overlap, the later one counts.
 * @param {{width: number, height: number}} size  The picture's.
 * @param {{width: number, height: number}} view  Its small view's.
 * @returns {{known: Float32Array, pins: import("./color.js").Known}} Known colors,
 *   interleaved a* and b* / 110 and a mask; and the points that hints name.
 */
export function drawHints(hints, size, view) {
  const known = new Float32Array(view.width * view.height * 3);
  const last = new Map();
  for (const hint of hints) {
    const ab = splitColor(parseColor(hint.color)).slice(1).map(Math.fround);
    const places = hint.points.map(([x, y]) => [
      Math.min(Math.floor(x), size.width - 1),
      Math.min(Math.floor(y), size.height - 1),
    ]);
    drawLine(places, hint.radius, size, view, ab, known);
    for (const place of places) last.set(place.join(), { place, ab });
  }
  const pins = [...last.values()];
  return {
    known,
    pins: { points: pins.map((one) => one.place), colors: pins.map((one) => one.ab) },
  };
}

function drawLine(places, radius, size, view, ab, known) {
  const [sx, sy] = [view.width / size.width, view.height / size.height];
  const at = places.map(([x, y]) => [(x + 0.5) * sx - 0.5, (y + 0.5) * sy - 0.5]);
  const thickness = Math.max(1, roundEven(radius * (sx + sy)));
  const mark = (x, y) => known.set([...ab, 1], 3 * (y * view.width + x));
  at.forEach((end, one) => {
    if (one || thickness > 1) {
      const start = at[Math.max(one - 1, 0)];
      drawSegment(start, end, thickness / 2, view, mark);
    }
    // A dot marks one pixel at least, however thin it is.
    mark(
      Math.min(Math.max(roundEven(end[0]), 0), view.width - 1),
      Math.min(Math.max(roundEven(end[1]), 0), view.height - 1),
    );
  });
}

function drawSegment(start, end, reach, view, mark) {
  const low = [0, 1].map((axis) => Math.floor(Math.min(start[axis], end[axis]) - reach));
  const high = [0, 1].map((axis) => Math.ceil(Math.max(start[axis], end[axis]) + reach));
  for (let y = Math.max(low[1], 0); y <= Math.min(high[1], view.height - 1); y++) {
    for (let x = Math.max(low[0], 0); x <= Math.min(high[0], view.width - 1); x++) {
      if (distance(x, y, start, end) <= reach * reach) mark(x, y);
    }
  }
}

/** Square of the distance from a pixel to a line that ends at both points. */
function distance(x, y, start, end) {
  const [dx, dy] = [end[0] - start[0], end[1] - start[1]];
  const long = dx * dx + dy * dy;
  const along = long ? ((x - start[0]) * dx + (y - start[1]) * dy) / long : 0;
  const share = Math.min(Math.max(along, 0), 1);
  return (x - start[0] - share * dx) ** 2 + (y - start[1] - share * dy) ** 2;
}

/** Rounds as NumPy does, halves to the even number. */
function roundEven(value) {
  const low = Math.floor(value);
  if (value - low !== 0.5) return Math.round(value);
  return low % 2 ? low + 1 : low;
}
