import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { openBrowser, respondWith } from '../browser.js';

const { NextAssignment } = await import('../../../static/js/annotation/prefetch.js');

/** A document whose templates hold one element with the URL that their HTML names. */
function parseTemplates(page) {
  page.createElement = () => ({
    set innerHTML(html) {
      this.content = { querySelector: () => ({ dataset: { url: html } }) };
    },
  });
  page.adoptNode = (node) => node;
}

beforeEach(() => parseTemplates(openBrowser()));

test('the next assignment is claimed beside the current one, loaded, and handed over once', async () => {
  const requests = respondWith([200, { url: '/assignments/2/' }], [200, '/assignments/2/']);
  const ready = [];
  const next = new NextAssignment('/claim/', (element) => ready.push(element));
  assert.equal(next.url, undefined);
  assert.equal(await next.prefetch(1), true);
  assert.deepEqual(requests.map(({ url, body }) => [url, body]), [['/claim/', { beside: 1 }], ['/assignments/2/', null]]);
  assert.equal(next.url, '/assignments/2/');
  assert.deepEqual(ready, [next.take()]);
  assert.equal(next.take(), null);
});

test('one that is ready is not claimed again, and two calls claim one', async () => {
  const requests = respondWith([200, { url: '/assignments/2/' }], [200, '/assignments/2/']);
  const next = new NextAssignment('/claim/', () => {});
  await Promise.all([next.prefetch(1), next.prefetch(1)]);
  await next.prefetch(1);
  assert.equal(requests.length, 2);
});

test('an empty queue is known from no URL and from a refused claim, but not from a lost connection', async () => {
  for (const [response, isQueueEmpty] of [[[200, { url: null }], true], [[409, {}], true], [[0], false]]) {
    respondWith(response);
    const next = new NextAssignment('/claim/', () => {});
    assert.equal(await next.prefetch(1), false);
    assert.equal(next.isQueueEmpty, isQueueEmpty);
  }
});

test('an assignment that cannot be loaded is fetched again at the next call', async () => {
  respondWith([200, { url: '/assignments/2/' }], [0], [200, { url: '/assignments/2/' }], [200, '/assignments/2/']);
  const next = new NextAssignment('/claim/', () => {});
  assert.equal(await next.prefetch(1), false);
  assert.equal(await next.prefetch(1), true);
});

test('after an undo another element comes next', async () => {
  const next = new NextAssignment('/claim/', () => {});
  const element = { dataset: { url: '/assignments/3/' } };
  next.replace(element);
  assert.equal(next.take(), element);
});
