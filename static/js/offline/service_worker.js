// A service worker: it copies assignments, so that a reload without a connection shows them as they were.
//
// The server puts VERSION and FILES before this text (curation/annotation/judge_page/service_worker.py). With a
// connection, nothing comes from a copy. It stores the page's own files, and of the assignments only those whose
// response names its owner in X-Owner. Another owner's header deletes them, and so does the sign-in page
// (clear_copies.js).
/* global VERSION, FILES */

const FILES_CACHE = `tandem-judge.files.${VERSION}`;
const PAGES_PREFIX = `tandem-judge.pages.${VERSION}.`;
const PAGE = /^(\/p\/[^/]+\/)assignments\/\d+\/$/;
const MARK = '<!--work-->'; // before and after the assignment in its page
const MAX_COPIES = 10; // assignments
const NO_SERVER = new Set([502, 503, 504]); // statuses of a proxy whose server is away

addEventListener('install', (event) => {
  event.addRoutes?.({ condition: { requestMethod: 'POST' }, source: 'network' })?.catch?.(() => {}); // past this worker
  event.waitUntil(storeFiles().then(() => skipWaiting()));
});
addEventListener('activate', (event) => event.waitUntil(Promise.all([deleteOldVersions(), registration.navigationPreload?.enable()]).then(() => clients.claim())));
addEventListener('message', (event) => event.waitUntil(copyAgain(event.data.path, event.data.isWhole)));
addEventListener('fetch', (event) => {
  const { pathname, origin } = new URL(event.request.url);
  if (event.request.method !== 'GET' || origin !== location.origin) return;
  if (FILES.includes(pathname)) event.respondWith(respondWithFile(event.request, pathname));
  else if (PAGE.test(pathname)) event.respondWith(respondWithPage(event, pathname));
});

async function storeFiles() {
  const cache = await caches.open(FILES_CACHE);
  await cache.addAll(FILES.map((path) => new Request(path, { cache: 'no-cache' })));
}

/** Delete the files and copies of other versions. */
async function deleteOldVersions() {
  const names = (await caches.keys()).filter((name) => name.startsWith('tandem-judge.'));
  await Promise.all(names.filter((name) => name !== FILES_CACHE && !name.startsWith(PAGES_PREFIX)).map((name) => caches.delete(name)));
}

async function respondWithFile(request, path) {
  try {
    return await fetch(request);
  } catch (error) {
    return copyOrError(await (await caches.open(FILES_CACHE)).match(path), error);
  }
}

async function respondWithPage(event, path) {
  const isWhole = event.request.mode === 'navigate';
  try {
    const response = (await event.preloadResponse) ?? (await fetch(event.request));
    if (NO_SERVER.has(response.status)) return (await readCopy(path, isWhole)) ?? response;
    event.waitUntil(storeCopy(path, response.clone(), isWhole));
    return response;
  } catch (error) {
    return copyOrError(await readCopy(path, isWhole), error);
  }
}

function copyOrError(copy, error) {
  if (!copy) throw error;
  return copy;
}

/** Copy a page again: it was loaded before this worker started, or a passage was added to it. */
async function copyAgain(path, isWhole) {
  if (!PAGE.test(path)) return;
  try {
    await storeCopy(path, await fetch(path, { headers: isWhole ? {} : { 'HX-Request': 'true' } }), isWhole);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // the connection was lost meanwhile
  }
}

/** Store a copy of an assignment; of a whole page also its shell, one for each project. */
async function storeCopy(path, response, isWhole) {
  const owner = response.headers.get('X-Owner');
  if (!response.ok || !owner) return;
  const pages = `${PAGES_PREFIX}${owner}`;
  for (const name of await caches.keys()) {
    if (name.startsWith(PAGES_PREFIX) && name !== pages) await caches.delete(name);
  }
  const cache = await caches.open(pages);
  const text = await response.text();
  const [before, work, after] = isWhole ? text.split(MARK) : [null, text, null];
  await cache.delete(path); // so that the newest come last
  await cache.put(path, new Response(work, { headers: { 'Content-Type': 'text/html; charset=utf-8' } }));
  if (isWhole) await cache.put(shellOf(path), new Response(`${before}${MARK}${after}`, { headers: pageHeaders(response) }));
  const copies = (await cache.keys()).filter(({ url }) => PAGE.test(new URL(url).pathname));
  for (const old of copies.slice(0, -MAX_COPIES)) await cache.delete(old);
}

/** Return the copy of an assignment, in its page or alone; undefined when there is none. */
async function readCopy(path, isWhole) {
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

/** Return the headers of the page, its content security policy among them, without those of the transfer. */
function pageHeaders(response) {
  return [...response.headers].filter(([name]) => !['content-encoding', 'content-length'].includes(name));
}
