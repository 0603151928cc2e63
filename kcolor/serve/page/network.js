/** Runs the page's `.tflite` file with LiteRT.js: lightness in, ab out. */

import { loadAndCompile, loadLiteRt, Tensor } from "./vendor/litert_core.js";

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
  const model = await loadAndCompile(content, { accelerator: "wasm" });
  // Which signature serves which canvas, by the shape of its input.
  const bySize = new Map();
  for (const signature of Object.values(model.signatures)) {
    const [, height, width] = signature.getInputDetails()[0].shape;
    bySize.set(`${height}x${width}`, { signature, canvas: [height, width] });
  }
  return {
    canvases: [...bySize.values()].map((one) => one.canvas),
    takesKnown: [...bySize.values()][0].signature
      .getInputDetails()
      .some(({ name }) => name === "known"),
    predict: (lightness, canvas, known) =>
      predict(bySize.get(canvas.join("x")).signature, lightness, known),
  };
}

async function predict(signature, lightness, known) {
  // The runtime's memory is not collected; what is made here is deleted here.
  const inputs = {};
  let outputs = {};
  try {
    for (const { name, shape } of signature.getInputDetails()) {
      const count = shape.reduce((product, side) => product * side, 1);
      const values = name === "known" ? (known ?? new Float32Array(count)) : lightness;
      inputs[name] = new Tensor(values, shape);
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
