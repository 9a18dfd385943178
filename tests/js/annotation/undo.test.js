import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { UndoHistory } from '../../../static/js/annotation/undo.js';
import { openBrowser } from '../browser.js';

beforeEach(openBrowser);

test('the newest step comes off first', () => {
  const history = new UndoHistory('7');
  history.push({ assignment: 1, kind: 'grade' });
  history.push({ assignment: 1, kind: 'flag' });
  assert.equal(history.pop().kind, 'flag');
  assert.equal(history.length, 1);
});

test('steps survive a reload, for their owner only', () => {
  new UndoHistory('7').push({ assignment: 1, kind: 'grade' });
  assert.equal(new UndoHistory('7').pop().kind, 'grade');
  assert.equal(new UndoHistory('8').length, 0);
});

test('the steps of an assignment that somebody else has now are removed', () => {
  const history = new UndoHistory('7');
  for (const assignment of [1, 2, 1]) history.push({ assignment, kind: 'grade' });
  history.forget(1);
  assert.equal(history.length, 1);
});

test('an empty history has no step to undo', () => {
  assert.equal(new UndoHistory('7').pop(), undefined);
});

test('the oldest steps are dropped above the limit', () => {
  const history = new UndoHistory('7');
  for (let number = 0; number <= 500; number += 1) history.push({ assignment: number, kind: 'grade' });
  assert.equal(history.length, 500);
  let oldest;
  while (history.length) oldest = history.pop();
  assert.equal(oldest.assignment, 1);
});
