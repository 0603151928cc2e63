/** Small helpers for bytes of files. */

/** @param {string} text  Latin-1 @returns {Uint8Array} */
export function latin(text) {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

/** @param {Uint8Array} bytes @param {string} text @param {number} [at] */
export function startsWith(bytes, text, at = 0) {
  for (let one = 0; one < text.length; one++) {
    if (bytes[at + one] !== text.charCodeAt(one)) return false;
  }
  return true;
}

/** @param {Uint8Array[]} parts */
export function join(parts) {
  const result = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}

/** @param {Uint8Array} bytes */
export function viewOf(bytes) {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** @param {number} value @returns {Uint8Array} Four bytes, the highest first. */
export function big32(value) {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

const CRC = Uint32Array.from({ length: 256 }, (_, at) => {
  let value = at;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

/** CRC-32 as PNG and zip have it. @param {Uint8Array} bytes */
export function crc32(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = CRC[(value ^ byte) & 255] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}
