/**
 * Keeps the page for use offline. The server writes the two constants below; a new
 * version is fetched whole before it takes the old one's place.
 */

const VERSION = "{{version}}";
const FILES = "{{files}}".split(" ");
const PREFIX = "kcolor-";

self.addEventListener("install", (event) => {
  event.waitUntil(
    (async () => {
      const cache = await caches.open(PREFIX + VERSION);
      // Past the browser's own cache, which may hold files of an older version.
      await cache.addAll(FILES.map((file) => new Request(file, { cache: "no-cache" })));
      await self.skipWaiting();
    })(),
  );
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      for (const name of await caches.keys()) {
        if (name.startsWith(PREFIX) && name !== PREFIX + VERSION) await caches.delete(name);
      }
      await self.clients.claim();
    })(),
  );
});

self.addEventListener("fetch", (event) => {
  if (event.request.method !== "GET") return;
  event.respondWith(
    (async () => {
      const cache = await caches.open(PREFIX + VERSION);
      const found = await cache.match(event.request, { ignoreSearch: true });
      return found ?? fetch(event.request);
    })(),
  );
});
