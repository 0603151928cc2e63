/**
 * One photograph in the worker: opened once, then drawn again for each change of
 * hints or saturation. Each exported function answers `{value, transfer}`.
 */

import { lightness, recolor } from "./color.js";
import { factor } from "./grain.js";
import { drawHints } from "./hints.js";
import * as metadata from "./metadata.js";
import { load } from "./network.js";
import { decode, reduce } from "./photo.js";
import { isHeard, spread } from "./spread.js";
import { choose, cut, fit, shrink, surround } from "./view.js";

/** What is shown meanwhile has at most this many pixels; a download has all. */
const SHOWN = 2.5e6;
const QUALITY = 0.95;

/** @type {any} */
let photo;

/** Loads the network before it is needed. */
export async function prepare() {
  const { canvases } = await load();
  return { value: canvases };
}

/**
 * Opens a photograph and runs the network on it.
 * @param {Blob} blob
 */
export async function open(blob) {
  photo = undefined; // Its memory, before the next one's.
  const started = performance.now();
  const decoded = await decode(blob);
  const seconds = { decode: since(started) };
  const loading = performance.now();
  const network = await load();
  seconds.load = since(loading);
  const running = performance.now();
  const { pixels } = decoded;
  const canvas = choose(pixels.height, pixels.width, network.canvases);
  const box = fit(canvas, pixels.height, pixels.width);
  const { levels, channels } = shrink(pixels, box.height, box.width);
  const small = lightness(levels, channels);
  const seen = surround(small, 1, box, canvas);
  const strength = factor(seen, canvas[1], canvas[0]);
  const predict = async (known) => {
    const hints = known && surround(known, 3, box, canvas);
    const ab = cut(await network.predict(seen, canvas, hints), 2, box, canvas);
    return ab.map((value) => value * strength);
  };
  const view = {
    lightness: small,
    ab: await predict(),
    width: box.width,
    height: box.height,
  };
  seconds.network = since(running);
  photo = {
    ...decoded,
    view,
    shown: reduce(pixels, SHOWN),
    predict: network.takesKnown ? predict : undefined,
  };
  return {
    value: { width: pixels.width, height: pixels.height, format: decoded.format, seconds },
  };
}

/**
 * Draws the open photograph for the screen.
 * @param {{saturation: number, hints: import("./hints.js").Hint[]}} look
 */
export async function show(look) {
  const { shown } = photo;
  const after = await bitmap(await draw(shown, look));
  const before = await bitmap(shown);
  return { value: { before, after }, transfer: [before, after] };
}

/**
 * Writes the open photograph in color, at its own size.
 * @param {{saturation: number, hints: import("./hints.js").Hint[]}} look
 * @param {"jpeg" | "png"} format
 */
export async function write(look, format) {
  const { pixels } = photo;
  const started = performance.now();
  const result = await draw(pixels, look);
  const merge = since(started);
  const encoding = performance.now();
  const canvas = new OffscreenCanvas(pixels.width, pixels.height);
  const context = canvas.getContext("2d");
  if (format === "jpeg") flatten(result.data);
  context.putImageData(new ImageData(result.data, pixels.width, pixels.height), 0, 0);
  const encoded = await canvas.convertToBlob({ type: `image/${format}`, quality: QUALITY });
  const kept = metadata.write(new Uint8Array(await encoded.arrayBuffer()), photo.metadata);
  const seconds = { merge, encode: since(encoding) };
  return { value: { blob: new Blob(kept, { type: encoded.type }), seconds } };
}

/** The pixels themselves, for whoever measures. @param {any} look */
export async function read(look) {
  const { data } = await draw(photo.pixels, look);
  return { value: data, transfer: [data.buffer] };
}

/** Draws the photograph, or a smaller one of it. */
async function draw(pixels, { saturation, hints }) {
  const { view, pixels: full, predict } = photo;
  const { known, pins } = drawHints(hints, full, view);
  if (!pins.points.length) {
    return { ...pixels, data: recolor(pixels, view, { saturation }) };
  }
  // Known colors stay as they are; saturation is the network's.
  const saturated = (ab) => ab.map((value) => value * saturation);
  const asked = predict && isHeard(known, view.width);
  const hinted = asked ? saturated(await predict(known)) : undefined;
  const ab = spread({ ...view, ab: saturated(view.ab) }, known, hinted);
  const points = pins.points.map(([x, y]) => [
    Math.floor((x * pixels.width) / full.width),
    Math.floor((y * pixels.height) / full.height),
  ]);
  const options = { known: { ...pins, points } };
  return { ...pixels, data: recolor(pixels, { ...view, ab }, options) };
}

/** JPEG has no transparency: white shows through, as in Python. */
function flatten(data) {
  for (let at = 3; at < data.length; at += 4) {
    const alpha = data[at];
    if (alpha === 255) continue;
    for (let channel = at - 3; channel < at; channel++) {
      data[channel] = (data[channel] * alpha + 255 * (255 - alpha)) / 255 + 0.5;
    }
    data[at] = 255;
  }
}

function bitmap({ data, width, height }) {
  return createImageBitmap(new ImageData(data, width, height));
}

function since(start) {
  return (performance.now() - start) / 1000;
}
