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
  const { request } = event;
  if (request.method !== "GET") return;
  const isPage = new URL("index.html", self.registration.scope).href === bare(request.url);
  event.respondWith(
    (async () => {
      const cache = await caches.open(PREFIX + VERSION);
      const name = isPage ? self.registration.scope : request;
      return (await cache.match(name, { ignoreSearch: true })) ?? fetch(request);
    })(),
  );
  if (request.mode === "navigate") event.waitUntil(makeRoom(event.resultingClientId));
});

/** The address without what follows '?' or '#'. @param {string} url */
function bare(url) {
  return url.replace(/[?#].*/s, "");
}

/** Goes away where another program answers at this address by now. */
async function makeRoom(page) {
  try {
    const answer = await fetch(self.registration.scope, { cache: "no-store" });
    if (!answer.ok || (await answer.text()).includes("<title>kcolor")) return;
  } catch {
    return; // Offline, which is what all of this is for.
  }
  for (const name of await caches.keys()) {
    if (name.startsWith(PREFIX)) await caches.delete(name);
  }
  // With nothing left to answer with, this brings the other program's page.
  const client = await self.clients.get(page);
  await client?.navigate(client.url).catch(() => {});
  await self.registration.unregister();
}
