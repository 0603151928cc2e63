/**
 * Film grain, and the chroma that it takes from a network's answer: the twin of
 * `kcolor/color/grain.py`.
 */

const BLOCK = 8;
const TO_DEVIATION = (Math.sqrt(Math.PI / 2) / 6) * 50;
const SMOOTHEST = 50;
const CLIPPED = 0.98;
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
  const means = [];
  // The mask 1 -2 1, -2 4 -2, 1 -2 1: second differences of second differences.
  const bent = (at) => lightness[at] - 2 * lightness[at + 1] + lightness[at + 2];
  for (let block = 0; block < across * down; block++) {
    const top = BLOCK * Math.floor(block / across);
    const left = BLOCK * (block % across);
    let sum = 0;
    let farthest = 0;
    for (let pixel = 0; pixel < BLOCK ** 2; pixel++) {
      const at = (top + Math.floor(pixel / BLOCK)) * width + left + (pixel % BLOCK);
      sum += Math.abs(bent(at) - 2 * bent(at + width) + bent(at + 2 * width));
      farthest = Math.max(farthest, Math.abs(lightness[at + width + 1]));
    }
    if (farthest < CLIPPED) means.push(sum / BLOCK ** 2);
  }
  if (!means.length) return 1;
  means.sort((one, other) => one - other);
  const smooth = means[Math.floor(means.length / SMOOTHEST)];
  const exact = Math.min(1 + LOSS * Math.max(smooth * TO_DEVIATION - LEAST, 0), MOST);
  return Math.round(exact * PARTS) / PARTS;
}
