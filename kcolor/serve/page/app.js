/** The page: photographs, what each looks like, and what a person asks for. */

import { call } from "./calls.js";
import { listen } from "./intake.js";
import { Viewer } from "./viewer.js";
import { zip } from "./zip.js";

/**
 * @typedef {object} Photo
 * @property {string} name
 * @property {Blob} blob
 * @property {import("./hints.js").Hint[]} hints
 * @property {number} saturation
 */

/** @type {Record<string, any>} */
const page = Object.fromEntries(
  [...document.querySelectorAll("[id]")].map((element) => [element.id, element]),
);
/** @type {Photo[]} */
let photos = [];
/** @type {Photo | undefined} */
let current;
/** Whether the worker has the current photograph. */
let isOpen = false;
/** Whether the worker opens one photograph after the other, and is to open no other. */
let isPacking = false;
let isDrawing = false;
let isStale = false;

const viewer = new Viewer(page, addHint, say);

function say(text) {
  page.status.textContent = text;
}

function complain(name, error) {
  const line = document.createElement("p");
  line.textContent = name ? `${name}: ${error.message}` : error.message;
  page.error.append(line);
}

/** @param {File[]} files */
async function take(files) {
  if (!isPacking) page.error.replaceChildren();
  const added = files.map((blob) => ({
    name: blob.name || "photograph",
    blob,
    hints: [],
    saturation: 1,
  }));
  if (!added.length) return;
  photos.push(...added);
  drawAlbum();
  if (isPacking) return; // The album has them, and opens them afterwards.
  await openFirst(added);
}

/** @param {Photo} photo */
function select(photo) {
  return openFirst([photo]);
}

/**
 * Opens the first photograph that can be read; if there is none, the one before.
 * @param {Photo[]} some
 */
async function openFirst(some) {
  const before = current;
  for (const photo of some) {
    if (await open(photo)) return;
  }
  const back = before && photos.includes(before) ? before : photos.at(-1);
  if (back) await open(back);
}

/**
 * Opens a photograph; one that cannot be read leaves the album.
 * @param {Photo} photo
 * @returns {Promise<boolean>}  False if another is to be opened in its place.
 */
async function open(photo) {
  current = photo;
  isOpen = false;
  enable();
  drawAlbum();
  say(`Coloring ${photo.name} …`);
  try {
    const size = await call("open", photo.blob);
    if (current !== photo) return true;
    isOpen = true;
    page.work.hidden = false;
    page.saturation.value = photo.saturation;
    viewer.open(size);
    viewer.setSplit(0);
    await redraw();
    if (current === photo) {
      say(`${photo.name}: ${size.width} × ${size.height} pixels, in color.`);
    }
    return true;
  } catch (error) {
    complain(photo.name, error);
    if (error.isPhoto) photos = photos.filter((one) => one !== photo);
    if (current !== photo) {
      drawAlbum();
      return true;
    }
    current = undefined;
    isOpen = false;
    say(error.isPhoto ? "" : `${photo.name} is still in the list: choose it to try again.`);
    drawAlbum();
    return !error.isPhoto;
  } finally {
    enable();
  }
}

function look(photo) {
  return { saturation: photo.saturation, hints: photo.hints };
}

/** Draws the photograph as it is asked for now; what came meanwhile is drawn after. */
async function redraw() {
  isStale = true;
  viewer.mark(current.hints);
  page["saturation-value"].textContent = Number(current.saturation).toFixed(1);
  enable();
  if (isDrawing) return;
  isDrawing = true;
  try {
    while (isStale && isOpen) {
      isStale = false;
      const photo = current;
      const { before, after } = await call("show", look(photo));
      if (photo === current) viewer.draw(before, after);
      before.close();
      after.close();
    }
  } finally {
    isDrawing = false;
  }
}

/** Draws after a change, and says what goes wrong. */
function update() {
  const { name } = current;
  redraw().catch((error) => complain(name, error));
}

/** @param {import("./hints.js").Hint} hint */
function addHint(hint) {
  if (!isOpen) return;
  current.hints = [...current.hints, hint];
  update();
  say(`Color ${hint.color} set. ${current.hints.length} in all.`);
}

function undo() {
  if (!isOpen || !current.hints.length) return;
  current.hints = current.hints.slice(0, -1);
  update();
  say(`Undone. ${current.hints.length} colors left.`);
}

function enable() {
  const hasHints = isOpen && current.hints.length > 0;
  page.undo.disabled = page.clear.disabled = !hasHints;
  page.jpeg.disabled = page.png.disabled = page.zip.disabled = !isOpen;
  page.zip.hidden = photos.length < 2;
}

function drawAlbum() {
  // A single one that could not be opened can be chosen again.
  page.album.hidden = photos.length < (current ? 2 : 1);
  page.zip.hidden = photos.length < 2;
  if (!current) page.work.hidden = true;
  const hadFocus = page.album.contains(document.activeElement);
  const items = photos.map((photo) => {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = photo.name;
    button.disabled = isPacking;
    button.setAttribute("aria-current", String(photo === current));
    button.addEventListener("click", () => select(photo));
    item.append(button);
    return item;
  });
  page.album.firstElementChild.replaceChildren(...items);
  // The buttons are new ones; who goes through them by keyboard stays where they were.
  if (hadFocus) page.album.querySelector("[aria-current=true]")?.focus();
}

function resultName(photo, format) {
  return `${photo.name.replace(/\.[^.]*$/, "")}-color.${format === "jpeg" ? "jpg" : format}`;
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** @param {"jpeg" | "png"} format */
async function download(format) {
  const photo = current;
  say(`Writing ${resultName(photo, format)} at full size …`);
  try {
    const { blob } = await call("write", look(photo), format);
    save(blob, resultName(photo, format));
    say(`${resultName(photo, format)} is written.`);
  } catch (error) {
    complain(photo.name, error);
    say("");
  }
}

async function downloadAll() {
  const shown = current;
  const packed = [...photos];
  isOpen = false;
  isPacking = true;
  enable();
  drawAlbum();
  const files = [];
  for (const [at, photo] of packed.entries()) {
    say(`Coloring ${at + 1} of ${packed.length}: ${photo.name} …`);
    try {
      await call("open", photo.blob);
      const { blob } = await call("write", look(photo), "jpeg");
      files.push({ name: resultName(photo, "jpeg"), blob });
    } catch (error) {
      complain(photo.name, error);
    }
  }
  try {
    if (files.length) save(await zip(files), "kcolor.zip");
  } catch (error) {
    complain("", error);
  }
  isPacking = false;
  const later = photos.length - packed.length;
  if (shown) await select(shown);
  const more = later ? ` ${later} came later and are not.` : "";
  say(`${files.length} of ${packed.length} photographs are in kcolor.zip.${more}`);
}

listen(page.drop, page.file, take);
page.saturation.addEventListener("input", () => {
  if (!isOpen) return;
  current.saturation = Number(page.saturation.value);
  update();
});
page.brush.addEventListener("input", () => {
  const percent = Number(page.brush.value);
  page["brush-value"].textContent = percent ? `${percent}%` : "a point";
});
page.undo.addEventListener("click", undo);
page.clear.addEventListener("click", () => {
  current.hints = [];
  update();
  say("All colors removed.");
});
page.jpeg.addEventListener("click", () => download("jpeg"));
page.png.addEventListener("click", () => download("png"));
page.zip.addEventListener("click", downloadAll);
page.tools.addEventListener("submit", (event) => event.preventDefault());
addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key === "z" && current?.hints.length) {
    event.preventDefault();
    undo();
  }
});

addEventListener("beforeunload", (event) => {
  if (isPacking || photos.some(({ hints }) => hints.length)) event.preventDefault();
});

/** Loads the network; then, with the browser's own copies, keeps the page offline. */
async function prepare() {
  say("Loading the network …");
  try {
    await call("prepare");
    if (!photos.length) say("Ready.");
  } catch (error) {
    complain("The network could not be loaded", error);
  }
  // Without it (a private window, say) the page works, only not offline.
  await navigator.serviceWorker?.register("service_worker.js").catch(() => {});
}

prepare();
