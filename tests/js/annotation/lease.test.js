import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';

import { openBrowser, respondWith } from '../browser.js';

const { Lease } = await import('../../../static/js/annotation/lease.js');

/** Let the requests of a renewal finish. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

beforeEach(() => {
  openBrowser();
  mock.timers.enable({ apis: ['setInterval'] });
});
afterEach(() => mock.timers.reset());

test('every third of the lease, the assignment on screen and the next one are renewed', async () => {
  const requests = respondWith();
  new Lease({ idleSeconds: 0 }, () => {}).renewRegularly(900, () => ['/assignments/1/', '/assignments/2/']);
  mock.timers.tick(299_000);
  assert.equal(requests.length, 0);
  mock.timers.tick(1000);
  await settle();
  assert.deepEqual(requests.map(({ url }) => url), ['/assignments/1/renew/', '/assignments/2/renew/']);
});

test('nothing is renewed for somebody who is idle, or without a connection', () => {
  const requests = respondWith();
  new Lease({ idleSeconds: 301 }, () => {}).renewRegularly(900, () => ['/assignments/1/']);
  mock.timers.tick(300_000);
  navigator.onLine = false;
  new Lease({ idleSeconds: 0 }, () => {}).renewRegularly(900, () => ['/assignments/1/']);
  mock.timers.tick(300_000);
  assert.equal(requests.length, 0);
});

test('a claim that is gone is reported with the reason', async () => {
  respondWith([409, { error: 'Somebody else has this query.' }]);
  const reasons = [];
  new Lease({ idleSeconds: 0 }, (reason) => reasons.push(reason)).renewRegularly(15, () => ['/assignments/1/']);
  mock.timers.tick(5000);
  await settle();
  assert.deepEqual(reasons, ['Somebody else has this query.']);
});
