/** Runs the page's `.tflite` file with LiteRT.js: lightness in, ab out. */

import { loadAndCompile, loadLiteRt, Tensor } from "./vendor/litert_core.js";

/** A network that takes hints has as many graphs again behind those of the canvases. */
const CANVASES = 5;
/** Places of these lists in a `.tflite` file's root table, by its schema. */
const SUBGRAPHS = 2;
const SIGNATURES = 7;

/** @type {Promise<Network> | undefined} */
let loaded;

/**
 * @typedef {object} Network
 * @property {import("./view.js").Size[]} canvases
 * @property {boolean} takesKnown  Whether hints go into the network itself, too.
 * @property {(lightness: Float32Array, canvas: import("./view.js").Size,
 *   known?: Float32Array) => Promise<Float32Array>} predict
 */

/** Loads runtime and network once. @returns {Promise<Network>} */
export function load() {
  loaded ??= open().catch((error) => {
    loaded = undefined; // The next photograph tries again.
    throw error;
  });
  return loaded;
}

async function open() {
  const here = new URL("./vendor/", import.meta.url);
  self.Module = { locateFile: (name) => new URL(name, here).href };
  const [, response] = await Promise.all([
    loadLiteRt(new URL("litert_wasm_compat_internal.js", here).href),
    fetch(new URL("./network.tflite", import.meta.url)),
  ]);
  if (!response.ok) throw new Error(`network.tflite: status ${response.status}`);
  const content = new Uint8Array(await response.arrayBuffer());
  const plain = await compile(content, CANVASES);
  /** @type {ReturnType<typeof compile> | undefined} */
  let hinted;
  return {
    canvases: [...plain.values()].map((one) => one.canvas),
    takesKnown: countGraphs(content) > CANVASES,
    predict: async (lightness, canvas, known) => {
      if (known) hinted ??= compile(content, countGraphs(content));
      const { signature } = known
        ? (await hinted).get(`${canvas.join("x")} known`)
        : plain.get(canvas.join("x"));
      return predict(signature, lightness, known);
    },
  };
}

/** Compiles the first graphs of a file; the runtime takes its time for each. */
async function compile(content, count) {
  const part = content.slice();
  countGraphs(part, count);
  const model = await loadAndCompile(part, { accelerator: "wasm" });
  // Which signature serves which canvas, by the shape and the names of its inputs.
  const found = new Map();
  for (const signature of Object.values(model.signatures)) {
    const inputs = signature.getInputDetails();
    const canvas = inputs[0].shape.slice(1, 3);
    const kind = inputs.some(({ name }) => name === "known") ? " known" : "";
    found.set(canvas.join("x") + kind, { signature, canvas });
  }
  return found;
}

/**
 * Reads how many graphs, and signatures, a file has, and makes them fewer.
 * @param {Uint8Array} content  A flatbuffer: tables that lie where their root says.
 * @param {number} [count]  How many to leave, if fewer.
 * @returns {number}
 */
function countGraphs(content, count) {
  const view = new DataView(content.buffer);
  const root = view.getUint32(0, true);
  const fields = root - view.getInt32(root, true);
  let found = 0;
  for (const field of [SUBGRAPHS, SIGNATURES]) {
    const at = root + view.getUint16(fields + 4 + 2 * field, true);
    const list = at + view.getUint32(at, true);
    found = view.getUint32(list, true);
    if (count !== undefined) view.setUint32(list, Math.min(count, found), true);
  }
  return found;
}

async function predict(signature, lightness, known) {
  // The runtime's memory is not collected; what is made here is deleted here.
  const inputs = {};
  let outputs = {};
  try {
    for (const { name, shape } of signature.getInputDetails()) {
      inputs[name] = new Tensor(name === "known" ? known : lightness, shape);
    }
    outputs = await signature.run(inputs);
    const ab = Object.values(outputs)[0].toTypedArray().slice();
    if (!ab.every(Number.isFinite)) throw new Error("the network gave no numbers");
    return ab;
  } finally {
    for (const tensor of [...Object.values(inputs), ...Object.values(outputs)]) {
      tensor.delete();
    }
  }
}
