/** A zip of files as they are: photographs are compressed already. */

import { crc32 } from "./bytes.js";

const UTF8 = 0x0800;
const MOST = 0xffffffff; // of bytes, without zip64

/**
 * Packs files.
 * @param {{name: string, blob: Blob}[]} files
 * @returns {Promise<Blob>}
 */
export async function zip(files) {
  const parts = [];
  const directory = [];
  let at = 0;
  for (const { name, blob } of withUniqueNames(files)) {
    const bytes = new Uint8Array(await blob.arrayBuffer());
    const letters = new TextEncoder().encode(name);
    const common = [20, UTF8, 0, ...now(), crc32(bytes), bytes.length, bytes.length];
    const header = record(0x04034b50, "2222244422", [...common, letters.length, 0]);
    const entry = [20, ...common, letters.length, 0, 0, 0, 0, 0, at];
    directory.push(record(0x02014b50, "2222224442222244", entry), letters);
    parts.push(header, letters, blob);
    at += header.length + letters.length + bytes.length;
    if (at > MOST) throw new Error("too much for one zip; download them one by one");
  }
  const length = directory.reduce((sum, part) => sum + part.length, 0);
  const count = files.length;
  const end = record(0x06054b50, "2222442", [0, 0, count, count, length, at, 0]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}

/** Two photographs of one name become NAME.jpg and NAME-2.jpg. */
function withUniqueNames(files) {
  const seen = new Set();
  return files.map(({ name, blob }) => {
    const dot = name.lastIndexOf(".");
    let unique = name;
    for (let more = 2; seen.has(unique); more++) {
      unique = `${name.slice(0, dot)}-${more}${name.slice(dot)}`;
    }
    seen.add(unique);
    return { name: unique, blob };
  });
}

function record(signature, widths, values) {
  const result = [];
  const put = (value, width) => {
    for (let byte = 0; byte < width; byte++) result.push((value / 2 ** (8 * byte)) & 255);
  };
  put(signature, 4);
  values.forEach((value, at) => put(value, Number(widths[at])));
  return Uint8Array.from(result);
}

/** Time and date as DOS has them. */
function now() {
  const at = new Date();
  const time = (at.getHours() << 11) | (at.getMinutes() << 5) | (at.getSeconds() >> 1);
  const date = ((at.getFullYear() - 1980) << 9) | ((at.getMonth() + 1) << 5) | at.getDate();
  return [time, date];
}
