/** Runs the page's `.tflite` file with LiteRT.js: lightness in, ab out. */

import { only, signatures } from "./graphs.js";
import { loadAndCompile, loadLiteRt, Tensor } from "./vendor/litert_core.js";

/** How names of graphs end that take hints, too; see `signature_name` in model.py. */
const KNOWN = "_known";

/** @type {Promise<Network> | undefined} */
let loaded;
/** @type {Promise<any> | undefined} */
let runtime;

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
  // It cannot be loaded twice, as the network can.
  runtime ??= loadLiteRt(new URL("litert_wasm_compat_internal.js", here).href).catch(
    (error) => {
      runtime = undefined;
      throw error;
    },
  );
  const [, response] = await Promise.all([
    runtime,
    fetch(new URL("./network.tflite", import.meta.url)),
  ]);
  if (!response.ok) throw new Error(`network.tflite: status ${response.status}`);
  const content = new Uint8Array(await response.arrayBuffer());
  const places = signatures(content);
  const names = [...places.keys()];
  /** @type {Map<string, any>} */
  const compiled = new Map();
  let last = "";
  return {
    canvases: names.filter((name) => !name.endsWith(KNOWN)).map(canvasOf),
    takesKnown: names.some((name) => name.endsWith(KNOWN)),
    predict: async (lightness, canvas, known) => {
      const shape = `canvas_${canvas.join("x")}`;
      const name = `${shape}${known ? KNOWN : ""}`;
      if (shape !== last) {
        // Each takes 100 MB, and photographs of one shape tend to come together.
        for (const model of compiled.values()) model.delete();
        compiled.clear();
        last = shape;
      }
      if (!compiled.has(name)) {
        const part = only(content, places.get(name));
        compiled.set(name, await loadAndCompile(part, { accelerator: "wasm" }));
      }
      return predict(compiled.get(name).signatures[name], lightness, known);
    },
  };
}

/** Height and width, which the name of a graph has. @param {string} name */
function canvasOf(name) {
  return name.match(/\d+/g).map(Number);
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
