/**
 * EXIF, XMP and IPTC: out of the photograph, into the result.
 *
 * A canvas writes none of them. The pixels are upright and sRGB by then, so orientation
 * and color space become 1, and profile and (gray) thumbnail stay behind. Files come from
 * anyone: every length is checked, and what makes no sense is left out.
 *
 * @typedef {object} Metadata
 * @property {Uint8Array} [exif]  A TIFF block without prefix.
 * @property {Uint8Array} [xmp]
 * @property {Uint8Array} [iptc]  Photoshop's resources, as in a JPEG's APP13.
 */

import { big32, crc32, join, latin, startsWith, viewOf } from "./bytes.js";

const EXIF = "Exif\0\0";
const XMP = "http://ns.adobe.com/xap/1.0/\0";
const IPTC = "Photoshop 3.0\0";
const XMP_IN_PNG = "XML:com.adobe.xmp\0\0\0\0\0";
const ORIENTATION = 0x0112;
const COLOR_SPACE = 0xa001;
const SEGMENT = 65533; // Bytes of a JPEG's segment beside its length.

/** Segments of a JPEG before its picture: marker and bounds of the content. */
function* segments(bytes) {
  const view = viewOf(bytes);
  for (let at = 2; at + 4 <= bytes.length && bytes[at] === 0xff; ) {
    const marker = bytes[at + 1];
    if (marker === 0xff) {
      at++;
      continue;
    }
    if (marker === 0xda || marker === 0xd9) return;
    const length = view.getUint16(at + 2);
    if (length < 2 || at + 2 + length > bytes.length) return;
    yield { marker, start: at, content: bytes.subarray(at + 4, at + 2 + length) };
    at += 2 + length;
  }
}

/** Chunks of a PNG. */
function* chunks(bytes) {
  const view = viewOf(bytes);
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at);
    if (at + 12 + length > bytes.length) return;
    const name = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    yield { name, start: at, content: bytes.subarray(at + 8, at + 8 + length) };
    at += 12 + length;
  }
}

/** Chunks of a WebP. */
function* riff(bytes) {
  const view = viewOf(bytes);
  for (let at = 12; at + 8 <= bytes.length; ) {
    const length = view.getUint32(at + 4, true);
    if (at + 8 + length > bytes.length) return;
    const name = String.fromCharCode(...bytes.subarray(at, at + 4));
    yield { name, content: bytes.subarray(at + 8, at + 8 + length) };
    at += 8 + length + (length % 2);
  }
}

/**
 * Reads the size before the picture is decoded.
 * @param {Uint8Array} bytes @param {string} format
 * @returns {{width: number, height: number, isGray: boolean} | undefined}
 */
export function size(bytes, format) {
  if (format === "jpeg") {
    for (const { marker, content } of segments(bytes)) {
      const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
      if (!isFrame || content.length < 6) continue;
      const view = viewOf(content);
      const isGray = content[5] === 1;
      return { height: view.getUint16(1), width: view.getUint16(3), isGray };
    }
  }
  if (format === "png" && bytes.length > 25) {
    const view = viewOf(bytes);
    const isGray = bytes[25] === 0 || bytes[25] === 4;
    return { width: view.getUint32(16), height: view.getUint32(20), isGray };
  }
  return undefined;
}

/** @param {Uint8Array} bytes @param {string} format @returns {Metadata} */
export function read(bytes, format) {
  /** @type {Metadata} */
  const found = {};
  if (format === "jpeg") {
    for (const { marker, content } of segments(bytes)) {
      if (marker === 0xe1 && startsWith(content, EXIF)) {
        found.exif ??= content.slice(EXIF.length);
      } else if (marker === 0xe1 && startsWith(content, XMP)) {
        found.xmp ??= content.slice(XMP.length);
      } else if (marker === 0xed && startsWith(content, IPTC)) {
        found.iptc ??= content.slice(IPTC.length);
      }
    }
  } else if (format === "png") {
    for (const { name, content } of chunks(bytes)) {
      if (name === "eXIf") found.exif ??= content.slice();
      if (name === "iTXt" && startsWith(content, XMP_IN_PNG)) {
        found.xmp ??= content.slice(XMP_IN_PNG.length);
      }
    }
  } else if (format === "webp") {
    found.exif = exifOfWebp(bytes)?.slice();
    found.xmp = chunkOfWebp(bytes, "XMP ")?.slice();
  }
  if (found.exif) found.exif = upright(found.exif);
  if (found.xmp) found.xmp = uprightXmp(found.xmp);
  return found;
}

/**
 * Takes the orientation out of a WebP, in place.
 * @param {Uint8Array} bytes @returns {number} What it was, 1 to 8.
 */
export function level(bytes) {
  const tiff = exifOfWebp(bytes);
  const found = tiff && directory(tiff);
  if (!found) return 1;
  const { view, little, entries } = found;
  const at = entries.find((entry) => view.getUint16(entry, little) === ORIENTATION);
  if (at === undefined) return 1;
  const turn = view.getUint16(at + 8, little);
  view.setUint16(at + 8, 1, little);
  return turn >= 1 && turn <= 8 ? turn : 1;
}

/** @param {Uint8Array} bytes @param {string} wanted  The chunk's name. */
function chunkOfWebp(bytes, wanted) {
  for (const { name, content } of riff(bytes)) {
    if (name === wanted) return content;
  }
  return undefined;
}

/** Its TIFF block, which some writers give a JPEG's prefix. @param {Uint8Array} bytes */
function exifOfWebp(bytes) {
  const content = chunkOfWebp(bytes, "EXIF");
  return content?.subarray(startsWith(content, EXIF) ? EXIF.length : 0);
}

/**
 * Finds the entries of a directory of EXIF.
 * @param {Uint8Array} tiff @param {number} [start]  Where it lies; the first one.
 */
function directory(tiff, start) {
  const little = startsWith(tiff, "II*\0");
  if ((!little && !startsWith(tiff, "MM\0*")) || tiff.length < 8) return undefined;
  const view = viewOf(tiff);
  const first = start ?? view.getUint32(4, little);
  if (first + 2 > tiff.length) return undefined;
  const count = view.getUint16(first, little);
  const end = first + 2 + 12 * count;
  if (end > tiff.length) return undefined;
  const entries = Array.from({ length: count }, (_, at) => first + 2 + 12 * at);
  return { view, little, first, entries, end };
}

/** Sets orientation to 1, the colors to sRGB, and cuts the link to the thumbnail. */
function upright(tiff) {
  const found = directory(tiff);
  // The link to the thumbnail's directory follows.
  if (!found || found.end + 4 > tiff.length) return undefined;
  const { view, little, first, entries, end } = found;
  for (const at of entries) {
    const tag = view.getUint16(at, little);
    if (tag === ORIENTATION) view.setUint16(at + 8, 1, little);
    if (tag !== 0x8769) continue;
    const camera = directory(tiff, view.getUint32(at + 8, little));
    for (const place of camera?.entries ?? []) {
      if (view.getUint16(place, little) === COLOR_SPACE) view.setUint16(place + 8, 1, little);
    }
  }
  const thumbnail = view.getUint32(end, little);
  view.setUint32(end, 0, little);
  // It usually comes last; then it need not be carried along either.
  return thumbnail > end && isLast(tiff, thumbnail, first)
    ? tiff.slice(0, thumbnail)
    : tiff;
}

/** Whether no value of the directories before lies behind the thumbnail's. */
function isLast(tiff, thumbnail, first) {
  const pending = [first];
  for (const start of pending) {
    const found = directory(tiff, start);
    if (!found || pending.length > 8) return false;
    const { view, little, entries } = found;
    for (const at of entries) {
      const tag = view.getUint16(at, little);
      const place = view.getUint32(at + 8, little);
      if ([0x8769, 0x8825, 0xa005].includes(tag)) pending.push(place);
      const kind = view.getUint16(at + 2, little);
      const bytes = ([0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8][kind] ?? 8) *
        view.getUint32(at + 4, little);
      if (bytes > 4 && place + bytes > thumbnail) return false;
    }
  }
  return pending.every((start) => start < thumbnail);
}

function uprightXmp(xmp) {
  const text = String.fromCharCode.bind(String);
  const key = latin("tiff:Orientation");
  for (let at = 0; at + key.length + 3 < xmp.length; at++) {
    if (!startsWith(xmp, "tiff:Orientation", at)) continue;
    for (let next = at + key.length; next < at + key.length + 3; next++) {
      if (/[2-8]/.test(text(xmp[next]))) xmp[next] = 0x31;
    }
  }
  return xmp;
}

/**
 * Puts metadata into a JPEG or PNG that a canvas wrote.
 * @param {Uint8Array} bytes @param {Metadata} metadata
 * @returns {Uint8Array[]} Parts of the new file, in order.
 */
export function write(bytes, metadata) {
  return startsWith(bytes, "\x89PNG") ? intoPng(bytes, metadata) : intoJpeg(bytes, metadata);
}

function intoJpeg(bytes, { exif, xmp, iptc }) {
  const made = [];
  const add = (marker, prefix, content) => {
    if (!content || prefix.length + content.length > SEGMENT) return;
    const length = 2 + prefix.length + content.length;
    made.push(Uint8Array.of(0xff, marker, length >> 8, length), latin(prefix), content);
  };
  add(0xe1, EXIF, exif);
  add(0xe1, XMP, xmp);
  add(0xed, IPTC, iptc);
  // Behind JFIF's own segment, where readers expect them.
  const first = segments(bytes).next().value;
  const at = first?.marker === 0xe0 ? first.start + 4 + first.content.length : 2;
  return [bytes.subarray(0, at), ...made, bytes.subarray(at)];
}

function intoPng(bytes, { exif, xmp }) {
  const made = [];
  const add = (name, content) => {
    const body = join([latin(name), content]);
    made.push(big32(content.length), body, big32(crc32(body)));
  };
  if (exif) add("eXIf", exif);
  if (xmp) add("iTXt", join([latin(XMP_IN_PNG), xmp]));
  const [header] = chunks(bytes);
  const at = header.start + 12 + header.content.length;
  return [bytes.subarray(0, at), ...made, bytes.subarray(at)];
}
