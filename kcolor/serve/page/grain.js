/**
 * Film grain, and the chroma that it takes from a network's answer: the twin of
 * `kcolor/color/grain.py`.
 */

const BLOCK = 8;
const TO_DEVIATION = (Math.sqrt(Math.PI / 2) / 6) * 50;
const SMOOTHEST = 50;
const LEAST = 0.3;
const LOSS = 0.14;
const MOST = 1.2;
const PARTS = 256;

/**
 * Says by what to multiply ab that a network answered for a grainy picture.
 * @param {Float32Array} lightness  L* / 50 - 1, all that the network saw.
 * @param {number} width
 * @param {number} height
 * @returns {number} 1 without grain, up to 1.2.
 */
export function factor(lightness, width, height) {
  const across = Math.floor((width - 2) / BLOCK);
  const down = Math.floor((height - 2) / BLOCK);
  const sums = new Float64Array(across * down);
  // The mask 1 -2 1, -2 4 -2, 1 -2 1: second differences of second differences.
  const bent = (at) => lightness[at] - 2 * lightness[at + 1] + lightness[at + 2];
  for (let y = 0; y < down * BLOCK; y++) {
    const block = Math.floor(y / BLOCK) * across;
    for (let x = 0; x < across * BLOCK; x++) {
      const at = y * width + x;
      const size = bent(at) - 2 * bent(at + width) + bent(at + 2 * width);
      sums[block + Math.floor(x / BLOCK)] += Math.abs(size);
    }
  }
  const smooth = sums.sort()[Math.floor(sums.length / SMOOTHEST)] / BLOCK ** 2;
  const exact = Math.min(1 + LOSS * Math.max(smooth * TO_DEVIATION - LEAST, 0), MOST);
  return Math.round(exact * PARTS) / PARTS;
}
