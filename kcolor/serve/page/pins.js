/** Exact colors at single pixels of a full-size picture: `kcolor/color/pins.py`. */

// Pixels of the view over which a correction fades out; it is whole within 1.
const FADE = 4;
// Of a correction, what a point has to itself; two that share more get the mean.
const OWN = 0.1;
const TOGETHER = 256;

/**
 * Corrects small planes so that some pixels of the enlarged ones are exact.
 * @param {import("./color.js").Planes} small  The first two planes are changed in place.
 * @param {{width: number, height: number}} size  What they are enlarged to.
 * @param {number[][]} points  x and y in the enlarged planes.
 * @param {number[][]} wanted  What intercept + slope * f has to be.
 * @param {number[]} f
 */
export function pin(small, size, points, wanted, f) {
  for (let start = 0; start < points.length; start += TOGETHER) {
    const part = [start, start + TOGETHER];
    pinTogether(small, size, points.slice(...part), wanted.slice(...part), f.slice(...part));
  }
}

function pinTogether(small, size, points, wanted, f) {
  const { planes, width, height } = small;
  const at = points.map(([x, y]) => [
    clip(((x + 0.5) * width) / size.width - 0.5, width - 1),
    clip(((y + 0.5) * height) / size.height - 0.5, height - 1),
  ]);
  const corners = at.map(([x, y]) => {
    const left = Math.min(Math.floor(x), Math.max(width - 2, 0));
    const top = Math.min(Math.floor(y), Math.max(height - 2, 0));
    const right = Math.min(left + 1, width - 1);
    const bottom = Math.min(top + 1, height - 1);
    const [sx, sy] = [x - left, y - top];
    return [
      [top, left, (1 - sy) * (1 - sx)],
      [top, right, (1 - sy) * sx],
      [bottom, left, sy * (1 - sx)],
      [bottom, right, sy * sx],
    ];
  });
  const read = (plane, place) =>
    place.reduce((sum, [row, column, part]) => sum + plane[row * width + column] * part, 0);
  const missing = corners.map((place, one) =>
    [0, 1].map((channel) => {
      let value = wanted[one][channel] - read(planes[channel], place);
      if (planes.length === 4) value -= read(planes[2 + channel], place) * f[one];
      return value;
    }),
  );
  const crossed = corners.map((place) =>
    at.map((center) =>
      place.reduce((sum, [row, column, part]) => sum + bump(row, column, center) * part, 0),
    ),
  );
  const amounts = leastSquares(crossed, missing);
  const reach = Math.ceil(FADE);
  at.forEach((center, one) => {
    const left = Math.max(Math.trunc(center[0]) - reach, 0);
    const top = Math.max(Math.trunc(center[1]) - reach, 0);
    for (let row = top; row < Math.min(top + 2 * reach + 2, height); row++) {
      for (let column = left; column < Math.min(left + 2 * reach + 2, width); column++) {
        const part = bump(row, column, center);
        planes[0][row * width + column] += amounts[one][0] * part;
        planes[1][row * width + column] += amounts[one][1] * part;
      }
    }
  });
}

function bump(row, column, center) {
  const far = Math.hypot(column - center[0], row - center[1]);
  // The four pixels that are read lie within the square root of 2.
  return Math.min(Math.max((FADE - far) / (FADE - 1.5), 0), 1);
}

/**
 * The shortest solution of A x = b in the sense of least squares, by one-sided Jacobi
 * rotations; directions that are shorter than `OWN` are left out.
 * @param {number[][]} matrix  Square. @param {number[][]} right
 * @returns {number[][]}
 */
export function leastSquares(matrix, right) {
  const n = matrix.length;
  // Columns of U S and of V.
  const us = Array.from({ length: n }, (_, c) => Float64Array.from(matrix, (row) => row[c]));
  const v = us.map((_, c) => Float64Array.from({ length: n }, (_, r) => Number(r === c)));
  for (let sweep = 0, turned = true; turned && sweep < 30; sweep++) {
    turned = false;
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        const [a, b, c] = [dot(us[p], us[p]), dot(us[q], us[q]), dot(us[p], us[q])];
        if (Math.abs(c) <= 1e-15 * Math.sqrt(a * b) || c === 0) continue;
        turned = true;
        const zeta = (b - a) / (2 * c);
        const t = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.hypot(1, zeta));
        const cosine = 1 / Math.hypot(1, t);
        for (const columns of [us, v]) rotate(columns[p], columns[q], cosine, cosine * t);
      }
    }
  }
  const values = us.map((column) => Math.sqrt(dot(column, column)));
  return matrix.map((_, row) =>
    right[0].map((_, channel) => {
      let sum = 0;
      for (let k = 0; k < n; k++) {
        if (values[k] < OWN) continue;
        let projected = 0;
        for (let r = 0; r < n; r++) projected += us[k][r] * right[r][channel];
        sum += (v[k][row] * projected) / values[k] ** 2;
      }
      return sum;
    }),
  );
}

function rotate(p, q, cosine, sine) {
  for (let at = 0; at < p.length; at++) {
    const [x, y] = [p[at], q[at]];
    p[at] = cosine * x - sine * y;
    q[at] = sine * x + cosine * y;
  }
}

function dot(a, b) {
  let sum = 0;
  for (let at = 0; at < a.length; at++) sum += a[at] * b[at];
  return sum;
}

function clip(value, high) {
  return Math.min(Math.max(value, 0), high);
}
