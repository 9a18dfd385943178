// Copies of the judge page for when the connection is away: a reload then shows the question as it was.
//
// A service worker. The server puts VERSION and FILES before this text (curation/views/copies.py). Online nothing
// comes from a copy. Kept are the page's own files, and of the questions only those whose answer names its owner
// in X-Owner; somebody else's header throws them away, and so does the sign-in page (forget.js).
/* global VERSION, FILES */

const FILES_CACHE = `tandem-judge.files.${VERSION}`;
const PAGES_PREFIX = `tandem-judge.pages.${VERSION}.`;
const PAGE = /^(\/p\/[^/]+\/)assignments\/\d+\/$/;
const MARK = '<!--work-->'; // stands before and after the question in its page
const MOST = 10; // questions kept
const NO_SERVER = new Set([502, 503, 504]); // a proxy's answers when nobody is behind it

addEventListener('install', (event) => {
  event.addRoutes?.({ condition: { requestMethod: 'POST' }, source: 'network' })?.catch?.(() => {}); // not by way of here
  event.waitUntil(keepFiles().then(() => skipWaiting()));
});
addEventListener('activate', (event) => event.waitUntil(Promise.all([tidy(), registration.navigationPreload?.enable()]).then(() => clients.claim())));
addEventListener('message', (event) => event.waitUntil(keepAddress(event.data.path, event.data.isWhole)));
addEventListener('fetch', (event) => {
  const { pathname, origin } = new URL(event.request.url);
  if (event.request.method !== 'GET' || origin !== location.origin) return;
  if (FILES.includes(pathname)) event.respondWith(file(event.request, pathname));
  else if (PAGE.test(pathname)) event.respondWith(page(event, pathname));
});

async function keepFiles() {
  const cache = await caches.open(FILES_CACHE);
  await cache.addAll(FILES.map((path) => new Request(path, { cache: 'no-cache' })));
}

/** Files and questions of other versions go. */
async function tidy() {
  const names = (await caches.keys()).filter((name) => name.startsWith('tandem-judge.'));
  await Promise.all(names.filter((name) => name !== FILES_CACHE && !name.startsWith(PAGES_PREFIX)).map((name) => caches.delete(name)));
}

async function file(request, path) {
  try {
    return await fetch(request);
  } catch (error) {
    return orThrow(await (await caches.open(FILES_CACHE)).match(path), error);
  }
}

async function page(event, path) {
  const isWhole = event.request.mode === 'navigate';
  try {
    const response = (await event.preloadResponse) ?? (await fetch(event.request));
    if (NO_SERVER.has(response.status)) return (await copyOf(path, isWhole)) ?? response;
    event.waitUntil(keep(path, response.clone(), isWhole));
    return response;
  } catch (error) {
    return orThrow(await copyOf(path, isWhole), error);
  }
}

function orThrow(copy, error) {
  if (!copy) throw error;
  return copy;
}

/** A page asks for a copy of itself: it came before this worker did, or something was added to it. */
async function keepAddress(path, isWhole) {
  if (!PAGE.test(path)) return;
  try {
    await keep(path, await fetch(path, { headers: isWhole ? {} : { 'HX-Request': 'true' } }), isWhole);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // the connection went meanwhile
  }
}

/** Keep a question; with a whole page also what stands around it, once for a project. */
async function keep(path, response, isWhole) {
  const owner = response.headers.get('X-Owner');
  if (!response.ok || !owner) return;
  const pages = `${PAGES_PREFIX}${owner}`;
  for (const name of await caches.keys()) {
    if (name.startsWith(PAGES_PREFIX) && name !== pages) await caches.delete(name);
  }
  const cache = await caches.open(pages);
  const text = await response.text();
  const [before, work, after] = isWhole ? text.split(MARK) : [null, text, null];
  await cache.delete(path); // the newest stand last
  await cache.put(path, new Response(work, { headers: { 'Content-Type': 'text/html; charset=utf-8' } }));
  if (isWhole) await cache.put(shellOf(path), new Response(`${before}${MARK}${after}`, { headers: shownHeaders(response) }));
  const kept = (await cache.keys()).filter(({ url }) => PAGE.test(new URL(url).pathname));
  for (const old of kept.slice(0, -MOST)) await cache.delete(old);
}

/** The question as it was last seen, in its page or alone; nothing when there is no copy of it. */
async function copyOf(path, isWhole) {
  for (const name of await caches.keys()) {
    if (!name.startsWith(PAGES_PREFIX)) continue;
    const cache = await caches.open(name);
    const [work, shell] = [await cache.match(path), await cache.match(shellOf(path))];
    if (work && !isWhole) return work;
    if (!work || !shell) continue;
    const [before, after] = (await shell.text()).split(MARK);
    const text = `${before}${await work.text()}${after}`.replace('id="judge"', 'id="judge" data-copy="1"');
    return new Response(text, { headers: shell.headers });
  }
  return undefined;
}

function shellOf(path) {
  return `${PAGE.exec(path)[1]}shell/`;
}

/** The page's own, its content security policy among them; not how it was packed for the way. */
function shownHeaders(response) {
  return [...response.headers].filter(([name]) => !['content-encoding', 'content-length'].includes(name));
}
