/**
 * The graphs of a `.tflite` file: their names, and files that have one of them alone.
 * The runtime takes time and memory for each graph of a file; a photograph needs one.
 *
 * Such a file is a flatbuffer: tables, and lists of them, that lie where a number, or
 * the root, says. Numbers below are the places of fields, by the format's schema.
 */

const SUBGRAPHS = 2;
const SIGNATURES = 7;
/** Of a signature. */
const KEY = 2;
const SUBGRAPH = 4;

/**
 * @param {Uint8Array} content
 * @returns {Map<string, number>}  Each signature's place in the file, by its name.
 */
export function signatures(content) {
  const view = new DataView(content.buffer);
  const list = follow(view, field(view, follow(view, 0), SIGNATURES));
  const found = new Map();
  for (let place = 0; place < view.getUint32(list, true); place++) {
    const key = follow(view, field(view, follow(view, list + 4 + 4 * place), KEY));
    const end = key + 4 + view.getUint32(key, true);
    found.set(new TextDecoder().decode(content.subarray(key + 4, end)), place);
  }
  return found;
}

/**
 * @param {Uint8Array} content
 * @param {number} place  Of a signature, see `signatures`.
 * @returns {Uint8Array}  A file that has this signature and its graph alone.
 */
export function only(content, place) {
  const part = content.slice();
  const view = new DataView(part.buffer);
  const root = follow(view, 0);
  const signature = keep(view, field(view, root, SIGNATURES), place);
  const number = field(view, signature, SUBGRAPH);
  keep(view, field(view, root, SUBGRAPHS), number ? view.getUint32(number, true) : 0);
  if (number) view.setUint32(number, 0, true);
  return part;
}

/** Makes one entry a list's only one; gives where its table lies. */
function keep(view, at, place) {
  const list = follow(view, at);
  const table = follow(view, list + 4 + 4 * place);
  view.setUint32(list, 1, true);
  view.setUint32(list + 4, table - (list + 4), true);
  return table;
}

/** Where a field of a table lies; 0 if it is left off, which means its default. */
function field(view, table, number) {
  const places = table - view.getInt32(table, true);
  const at = 4 + 2 * number;
  const place = at < view.getUint16(places, true) ? view.getUint16(places + at, true) : 0;
  return place && table + place;
}

function follow(view, at) {
  return at + view.getUint32(at, true);
}
