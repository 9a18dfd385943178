import assert from 'node:assert/strict';
import { test } from 'node:test';

import { moveCitations, moveSpans } from '../../../static/js/text/spans.js';

const cite = (...sentences) => sentences.map((sentence, passage) => ({ sentence, passage }));

test('the citation of a changed sentence goes to the sentence in its place', () => {
  const moved = moveCitations(cite('The lion sleeps.', 'The otter too.'), 'The lion sleeps. The otter too.', 'The lions sleep. The otter too.', 'en');
  assert.deepEqual(moved, cite('The lions sleep.', 'The otter too.'));
});

test('the citation of a deleted sentence is dropped', () => {
  const before = 'The lion sleeps. The otter too.';
  assert.deepEqual(moveCitations(cite('The lion sleeps.', 'The otter too.'), before, 'The lion sleeps.', 'en'), cite('The lion sleeps.'));
});

test('the citation of a sentence that moved stays with it', () => {
  const before = 'One. Two.';
  assert.deepEqual(moveCitations(cite('One.'), before, 'Two. One.', 'en'), cite('One.'));
});

test('a span moves with text that is added before it, and grows with text within it', () => {
  assert.deepEqual(moveSpans([[4, 8]], 'The lion sleeps.', 'Now the lion sleeps.'.replace('t', 'T')), [[8, 12]]);
  assert.deepEqual(moveSpans([[4, 8]], 'The lion sleeps.', 'The li-on sleeps.'), [[4, 9]]);
  assert.deepEqual(moveSpans([[4, 8]], 'The lion sleeps.', 'The lion sleeps well.'), [[4, 8]]);
});

test('a span whose words were deleted is dropped', () => {
  assert.deepEqual(moveSpans([[4, 8]], 'The lion sleeps.', 'The sleeps.'), []);
});

test('spans count code points', () => {
  assert.deepEqual(moveSpans([[2, 6]], '😀 lion', '😀😀 lion'), [[3, 7]]);
});
