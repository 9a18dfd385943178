import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { fetchHtml, post } from '../../static/js/http.js';
import { openBrowser, respondWith, setGlobal } from './browser.js';

beforeEach(openBrowser);

test('a post carries JSON, the CSRF token, the idempotency key and the owner', async () => {
  const requests = respondWith([200, { grade: 2 }]);
  const { status, body } = await post('/grades/', { grade: 2 }, { key: 'k', owner: '7' });
  assert.deepEqual([status, body], [200, { grade: 2 }]);
  const [{ headers }] = requests;
  assert.deepEqual([headers['X-CSRFToken'], headers['Idempotency-Key'], headers['X-Owner']], ['token', 'k', '7']);
});

test('no connection is status 0', async () => {
  respondWith([0]);
  assert.deepEqual(await post('/grades/'), { status: 0, body: {} });
});

test('a redirect to the sign-in page and the page of the CSRF check are status 401', async () => {
  setGlobal('fetch', async () => ({ type: 'opaqueredirect' }));
  assert.equal((await post('/grades/')).status, 401);
  respondWith([403, '<h1>403</h1>']);
  assert.equal((await post('/grades/')).status, 401);
  respondWith([403, { error: 'You need the reviewer role.' }]);
  assert.equal((await post('/grades/')).status, 403);
});

test('a part of a page is fetched as htmx does; null when it cannot be had', async () => {
  const requests = respondWith([200, '<p>Hit</p>'], [404, ''], [0]);
  assert.equal(await fetchHtml('/search/'), '<p>Hit</p>');
  assert.equal(requests[0].headers['HX-Request'], 'true');
  assert.equal(await fetchHtml('/search/'), null);
  assert.equal(await fetchHtml('/search/'), null);
});
