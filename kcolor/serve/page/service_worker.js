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
  const { scope } = self.registration;
  const place = request.url.replace(/[?#].*/s, "");
  const isPage = place === scope || place === new URL("index.html", scope).href;
  event.respondWith(
    (async () => {
      const other = isPage ? await another(request) : undefined;
      if (other) return other;
      const cache = await caches.open(PREFIX + VERSION);
      const found = await cache.match(isPage ? scope : request, { ignoreSearch: true });
      return found ?? fetch(request);
    })(),
  );
});

/**
 * Goes away where another program answers at this address by now.
 * @param {Request} request  For the page itself. @returns {Promise<Response | undefined>}
 */
async function another(request) {
  let answer;
  try {
    answer = await fetch(request, { signal: AbortSignal.timeout(3000) });
    if (!answer.ok || (await answer.clone().text()).includes("<title>kcolor")) return;
  } catch {
    return; // Offline, which is what all of this is for.
  }
  for (const name of await caches.keys()) {
    if (name.startsWith(PREFIX)) await caches.delete(name);
  }
  await self.registration.unregister();
  return answer;
}
