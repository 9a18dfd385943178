import assert from 'node:assert/strict';
import { test } from 'node:test';

import { openBrowser, setGlobal } from '../browser.js';

test('the sign-in page deletes copies and sent acts, and leaves files and unsent acts', async () => {
  openBrowser();
  const names = new Set(['tandem-judge.pages.v1.7', 'tandem-judge.files.v1', 'another']);
  setGlobal('caches', { keys: async () => [...names], delete: async (name) => names.delete(name) });
  localStorage.setItem('tandem.sent.7.000000000001', '{}');
  localStorage.setItem('tandem.outbox.7.1', '{}');
  await import('../../../static/js/offline/clear_copies.js');
  assert.deepEqual([...names], ['tandem-judge.files.v1', 'another']);
  assert.deepEqual(Object.keys(localStorage), ['tandem.outbox.7.1']);
});
