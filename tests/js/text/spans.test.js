import assert from 'node:assert/strict';
import { test } from 'node:test';

import { sentenceSpans, toCodePoints, toUtf16, toggleSpan } from '../../../static/js/text/spans.js';

test('positions are code points on the server and UTF-16 units in the browser', () => {
  const text = 'a😀b';
  assert.equal(toCodePoints(text, 3), 2);
  assert.equal(toUtf16(text, 2), 3);
  for (const points of [0, 1, 2, 3]) assert.equal(toCodePoints(text, toUtf16(text, points)), points);
});

test('sentences have no white space around them', () => {
  const text = 'The lion sleeps.  It hunts at night.\n\n  A new line.';
  assert.deepEqual(sentenceSpans(text, 'en').map(([start, end]) => text.slice(start, end)), [
    'The lion sleeps.', 'It hunts at night.', 'A new line.',
  ]);
});

test('Chinese sentences end at the full stop 。', () => {
  const text = '狮子睡觉。晚上狩猎。';
  assert.deepEqual(sentenceSpans(text, 'zh-hans').map(([start, end]) => text.slice(start, end)), ['狮子睡觉。', '晚上狩猎。']);
});

test('a span is added the first time and removed the second', () => {
  const once = toggleSpan([], [3, 9]);
  assert.deepEqual(once, [[3, 9]]);
  assert.deepEqual(toggleSpan(once, [3, 9]), []);
});

test('spans that touch are merged, and the others stay in order', () => {
  assert.deepEqual(toggleSpan([[10, 20]], [0, 3]), [[0, 3], [10, 20]]);
  assert.deepEqual(toggleSpan([[0, 3], [10, 20]], [3, 12]), [[0, 20]]);
});

test('a span within another one removes the whole of it', () => {
  assert.deepEqual(toggleSpan([[0, 3], [10, 20]], [12, 15]), [[0, 3]]);
});
