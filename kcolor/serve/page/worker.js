/**
 * The thread beside the page: all work on pixels happens here.
 *
 * A classic worker, not a module, since the runtime's loader calls importScripts. What
 * comes in is one call of `session.js` at a time; what goes out is its answer.
 */

const opened = import("./session.js");
let last = Promise.resolve();

self.onmessage = ({ data: { id, name, args } }) => {
  // One after another: a session keeps one photograph.
  last = last.then(async () => {
    try {
      const session = await opened;
      const { value, transfer = [] } = await session[name](...args);
      self.postMessage({ id, value }, transfer);
    } catch (error) {
      const kind = error.name === "PhotoError" ? "photo" : "fault";
      self.postMessage({ id, error: error.message || String(error), kind });
    }
  });
};
