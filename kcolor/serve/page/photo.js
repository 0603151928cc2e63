/** From a file to upright pixels, with a clear word where a browser cannot read it. */

import * as metadata from "./metadata.js";

/** A browser's canvas ends here; Safari's at 16.7 megapixels already. */
export const MAX_MEGAPIXELS = 60;
const MAX_BYTES = 256e6;

/** What is wrong with a file, in words for the person who chose it. */
export class PhotoError extends Error {
  name = "PhotoError";
}

const ELSEWHERE = "The kcolor command reads it.";

/** Formats by their first bytes. @param {Uint8Array} bytes */
export function sniff(bytes) {
  const text = String.fromCharCode(...bytes.subarray(0, 16));
  if (text.startsWith("\xff\xd8\xff")) return "jpeg";
  if (text.startsWith("\x89PNG")) return "png";
  if (text.startsWith("GIF8")) return "gif";
  if (text.startsWith("BM")) return "bmp";
  if (text.startsWith("RIFF") && text.slice(8, 12) === "WEBP") return "webp";
  if (/^(II[*+]\0|MM\0[*+])/.test(text)) return "tiff";
  if (/^....ftyp(avif|avis)/s.test(text)) return "avif";
  if (/^....ftyp(hei|hev|mif1|msf1)/s.test(text)) return "heic";
  if (/^%PDF/.test(text)) return "pdf";
  return "";
}

/**
 * Reads a photo file.
 * @param {Blob} blob
 * @returns {Promise<{pixels: import("./color.js").Pixels, format: string,
 *   metadata: import("./metadata.js").Metadata}>}
 */
export async function decode(blob) {
  if (blob.size > MAX_BYTES) {
    throw new PhotoError(`This file is larger than ${MAX_BYTES / 1e6} MB. ${ELSEWHERE}`);
  }
  const bytes = new Uint8Array(await blob.arrayBuffer());
  const format = sniff(bytes);
  const size = metadata.size(bytes, format);
  if (size && size.width * size.height > MAX_MEGAPIXELS * 1e6) {
    const megapixels = Math.round((size.width * size.height) / 1e6);
    throw new PhotoError(
      `This photograph has ${megapixels} megapixels; the page takes ${MAX_MEGAPIXELS}. ` +
        ELSEWHERE,
    );
  }
  const kept = metadata.read(bytes, format);
  // Browsers stand a JPEG or PNG upright, and not all of them a WebP.
  const turn = format === "webp" ? metadata.level(bytes) : 1;
  let image;
  try {
    const upright = turn > 1 ? new Blob([bytes], { type: blob.type }) : blob;
    image = await createImageBitmap(upright, { premultiplyAlpha: "none" });
  } catch {
    throw new PhotoError(unreadable(format));
  }
  const isOnSide = turn > 4;
  const width = isOnSide ? image.height : image.width;
  const height = isOnSide ? image.width : image.height;
  if (width * height > MAX_MEGAPIXELS * 1e6) {
    image.close();
    throw new PhotoError(`This photograph is too large for the page. ${ELSEWHERE}`);
  }
  let data;
  try {
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.setTransform(...turned(turn, width, height));
    context.drawImage(image, 0, 0);
    ({ data } = context.getImageData(0, 0, width, height));
  } catch {
    throw new PhotoError(`This browser has too little memory for it. ${ELSEWHERE}`);
  } finally {
    image.close();
  }
  // What a canvas over its limit gives in some browsers, without an error.
  if (data.every((value) => value === 0)) {
    throw new PhotoError(`This browser gives an empty picture of it. ${ELSEWHERE}`);
  }
  return {
    pixels: { data, width, height, isGray: size?.isGray ?? false },
    format,
    metadata: kept,
  };
}

/**
 * The matrix that stands a photograph upright, as a canvas takes it.
 * @param {number} orientation  EXIF's, 1 to 8.
 * @param {number} width @param {number} height  Of the result.
 * @returns {[number, number, number, number, number, number]}
 */
function turned(orientation, width, height) {
  return /** @type {any} */ ([
    [1, 0, 0, 1, 0, 0],
    [-1, 0, 0, 1, width, 0],
    [-1, 0, 0, -1, width, height],
    [1, 0, 0, -1, 0, height],
    [0, 1, 1, 0, 0, 0],
    [0, 1, -1, 0, width, 0],
    [0, -1, -1, 0, width, height],
    [0, -1, 1, 0, 0, height],
  ][orientation - 1]);
}

function unreadable(format) {
  if (format === "tiff") {
    return `Browsers do not read TIFF. ${ELSEWHERE} Or save it as PNG or JPEG.`;
  }
  if (format === "heic") {
    return `This browser does not read HEIC. ${ELSEWHERE} Or save it as JPEG.`;
  }
  if (format === "pdf") return "This is a PDF. Save its pages as JPEG or PNG.";
  if (format) return `This ${format.toUpperCase()} file is damaged or incomplete.`;
  return "This is not a photograph that a browser can read (JPEG, PNG, WebP, GIF, BMP).";
}

/**
 * Makes a smaller picture for the screen, or gives the picture itself.
 * @param {import("./color.js").Pixels} pixels @param {number} most  Pixels.
 * @returns {import("./color.js").Pixels}
 */
export function reduce(pixels, most) {
  const factor = Math.ceil(Math.sqrt((pixels.width * pixels.height) / most));
  if (factor <= 1) return pixels;
  const width = Math.max(1, Math.floor(pixels.width / factor));
  const height = Math.max(1, Math.floor(pixels.height / factor));
  const data = new Uint8ClampedArray(4 * width * height);
  const columns = Math.min(factor, pixels.width);
  const rows = Math.min(factor, pixels.height);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let channel = 0; channel < 4; channel++, to++) {
        let sum = 0;
        for (let row = 0; row < rows; row++) {
          let at = 4 * ((y * factor + row) * pixels.width + x * factor) + channel;
          for (let column = 0; column < columns; column++, at += 4) sum += pixels.data[at];
        }
        data[to] = sum / (rows * columns);
      }
    }
  }
  return { data, width, height, isGray: pixels.isGray };
}
