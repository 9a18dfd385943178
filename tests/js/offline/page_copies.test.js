import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { openBrowser } from '../browser.js';

const { refreshCopy, registerServiceWorker } = await import('../../../static/js/offline/page_copies.js');

let page;
let worker;

beforeEach(() => {
  page = openBrowser();
  page.readyState = 'complete';
  worker = new EventTarget();
  worker.registered = [];
  worker.posted = [];
  worker.register = async (url, options) => worker.registered.push([url, options.scope]);
  worker.controller = { postMessage: (message) => worker.posted.push(message) };
  navigator.serviceWorker = worker;
});

test('the worker is registered for the path of the assignments', () => {
  registerServiceWorker('/service-worker.js', '/p/zoo/assignments/', () => []);
  assert.deepEqual(worker.registered, [['/service-worker.js', '/p/zoo/assignments/']]);
});

test('a new worker is asked for copies of what is loaded, with the whole page of the one on screen', () => {
  registerServiceWorker('/service-worker.js', '/p/zoo/assignments/', () => ['/assignments/1/', '/assignments/2/']);
  worker.dispatchEvent(new Event('controllerchange'));
  assert.deepEqual(worker.posted, [{ path: '/assignments/1/', isWhole: true }, { path: '/assignments/2/', isWhole: false }]);
});

test('a registration without a connection is no error', async () => {
  worker.register = async () => {
    throw new TypeError('no connection');
  };
  registerServiceWorker('/service-worker.js', '/p/zoo/assignments/', () => []);
  await new Promise((resolve) => setImmediate(resolve));
});

test('without a worker there are no copies', () => {
  worker.controller = null;
  refreshCopy('/assignments/1/');
  delete navigator.serviceWorker;
  refreshCopy('/assignments/1/');
  registerServiceWorker('/service-worker.js', '/p/zoo/assignments/', () => []);
  assert.deepEqual(worker.posted, []);
});
