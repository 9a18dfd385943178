import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { beforeEach, test } from 'node:test';
import { runInNewContext } from 'node:vm';

const SOURCE = await readFile(new URL('../../../static/js/offline/service_worker.js', import.meta.url), 'utf8');
const PAGE = '/p/zoo/assignments/1/';
const WHOLE = '<html><div id="judge"><!--work--><article>as loaded</article><!--work--></div></html>';

let listeners;
let stores;
let respond; // path → Response, or an error

/** One cache of the browser: path → response, in the order of the puts. */
function openStore() {
  const entries = new Map();
  return {
    match: async (path) => entries.get(path)?.clone(),
    put: async (path, response) => entries.set(path, response),
    delete: async (request) => entries.delete(request.url ? new URL(request.url).pathname : request),
    keys: async () => [...entries.keys()].map((path) => ({ url: `http://tandem.test${path}` })),
    addAll: async (requests) => requests.forEach(({ path }) => entries.set(path, new Response('file'))),
  };
}

function startWorker(version = 'v1') {
  listeners = {};
  const caches = {
    open: async (name) => {
      if (!stores.has(name)) stores.set(name, openStore());
      return stores.get(name);
    },
    keys: async () => [...stores.keys()],
    delete: async (name) => stores.delete(name),
  };
  runInNewContext(`const VERSION = "${version}"; const FILES = ["/static/js/boot.js"]; ${SOURCE}`, {
    addEventListener: (name, listener) => (listeners[name] = listener),
    caches,
    clients: { claim: async () => {} },
    fetch: async (request) => respond(typeof request === 'string' ? request : new URL(request.url).pathname),
    location: { origin: 'http://tandem.test' },
    registration: {},
    skipWaiting: async () => {},
    Request: class Request {
      constructor(path) {
        this.path = path;
      }
    },
    Response, URL, TypeError,
  });
}

/** Dispatch an event of the worker; return its response, once everything it waits for is done. */
async function dispatch(name, fields = {}) {
  const waits = [];
  let response;
  listeners[name]({ waitUntil: (promise) => waits.push(promise), respondWith: (promise) => (response = promise), ...fields });
  const result = await response;
  await Promise.all(waits);
  return result;
}

function load(path, { mode = 'navigate', method = 'GET' } = {}) {
  return dispatch('fetch', { request: { url: `http://tandem.test${path}`, mode, method } });
}

function owned(text, owner = '7') {
  return new Response(text, { headers: { 'X-Owner': owner, 'Content-Encoding': 'gzip', 'X-Policy': 'strict' } });
}

function disconnect() {
  respond = () => {
    throw new TypeError('no connection');
  };
}

beforeEach(() => {
  stores = new Map();
  respond = () => owned(WHOLE);
  startWorker();
});

test('without a connection an assignment is shown as it was last seen, marked as a copy', async () => {
  assert.equal(await (await load(PAGE)).text(), WHOLE);
  disconnect();
  const copy = await load(PAGE);
  assert.equal(await copy.text(), WHOLE.replace('id="judge"', 'id="judge" data-copy="1"').replaceAll('<!--work-->', ''));
  assert.equal(copy.headers.get('X-Policy'), 'strict');
  assert.equal(copy.headers.get('Content-Encoding'), null);
});

test('one that was loaded as a part is shown within the page of another', async () => {
  await load(PAGE);
  respond = () => owned('<article>the next</article>');
  await load('/p/zoo/assignments/2/', { mode: 'cors' });
  disconnect();
  assert.match(await (await load('/p/zoo/assignments/2/')).text(), /data-copy="1"><article>the next<\/article><\/div>/);
  assert.equal(await (await load('/p/zoo/assignments/2/', { mode: 'cors' })).text(), '<article>the next</article>');
});

test('without a copy the error of the connection stays, and a proxy without a server counts as none', async () => {
  disconnect();
  await assert.rejects(load(PAGE), TypeError);
  respond = () => owned(WHOLE);
  await load(PAGE);
  respond = () => new Response('', { status: 502 });
  assert.match(await (await load(PAGE)).text(), /data-copy/);
});

test('a page without an owner is not copied, and the pages of one owner go with the next', async () => {
  respond = () => new Response(WHOLE);
  await load(PAGE);
  assert.deepEqual([...stores.keys()], []);
  respond = () => owned(WHOLE, '7');
  await load(PAGE);
  respond = () => owned(WHOLE, '8');
  await load('/p/zoo/assignments/2/');
  assert.deepEqual([...stores.keys()], ['tandem-judge.pages.v1.8']);
});

test('the ten newest assignments are kept', async () => {
  for (let number = 1; number <= 12; number += 1) await load(`/p/zoo/assignments/${number}/`);
  disconnect();
  await assert.rejects(load('/p/zoo/assignments/2/'), TypeError);
  assert.match(await (await load('/p/zoo/assignments/3/')).text(), /data-copy/);
});

test('a page asks for a copy of itself, and only of an assignment', async () => {
  await dispatch('message', { data: { path: PAGE, isWhole: true } });
  await dispatch('message', { data: { path: '/p/zoo/settings/', isWhole: true } });
  disconnect();
  await dispatch('message', { data: { path: PAGE, isWhole: true } });
  assert.match(await (await load(PAGE)).text(), /data-copy/);
});

test('a new version stores its files and deletes those of the old one', async () => {
  await dispatch('install');
  await load(PAGE);
  startWorker('v2');
  await dispatch('install');
  await dispatch('activate');
  assert.deepEqual([...stores.keys()], ['tandem-judge.files.v2']);
  disconnect();
  assert.equal(await (await load('/static/js/boot.js', { mode: 'cors' })).text(), 'file');
});

test('posts and other pages are left to the browser', async () => {
  assert.equal(await load(PAGE, { method: 'POST' }), undefined);
  assert.equal(await load('/p/zoo/'), undefined);
});
