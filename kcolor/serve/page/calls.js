/** Calls functions of `session.js` in the worker. */

const worker = new Worker(new URL("./worker.js", import.meta.url));
const waiting = new Map();
let next = 0;
/** @type {CallError | undefined} */
let broken;

/** What the worker could not do; `isPhoto`: the photograph is at fault. */
export class CallError extends Error {
  name = "CallError";
  isPhoto = false;
}

worker.onmessage = ({ data: { id, value, error, kind } }) => {
  const { resolve, reject } = waiting.get(id) ?? {};
  if (!waiting.delete(id)) return;
  if (error === undefined) {
    resolve(value);
  } else {
    reject(Object.assign(new CallError(error), { isPhoto: kind === "photo" }));
  }
};

worker.onerror = ({ message }) => {
  const error = new CallError(message || "a part of the page is missing; reload it");
  if (!message) broken = error; // The worker's own file: nobody will ever answer.
  for (const { reject } of waiting.values()) reject(error);
  waiting.clear();
};

/**
 * @param {string} name  An exported function of `session.js`.
 * @param {...any} args
 * @returns {Promise<any>}
 */
export function call(name, ...args) {
  if (broken) return Promise.reject(broken);
  return new Promise((resolve, reject) => {
    waiting.set(++next, { resolve, reject });
    worker.postMessage({ id: next, name, args });
  });
}
