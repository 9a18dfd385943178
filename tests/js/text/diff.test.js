import assert from 'node:assert/strict';
import { test } from 'node:test';

import { commonEnds, diff, tokens } from '../../../static/js/text/diff.js';

const side = (parts, without) => parts.filter(([kind]) => kind !== without).map(([, text]) => text).join('');

test('a word is one token, a Chinese character is one, a space and a sign are one each', () => {
  assert.deepEqual(tokens("It's 9 am."), ["It's", ' ', '9', ' ', 'am', '.']);
  assert.deepEqual(tokens('动物园'), ['动', '物', '园']);
  assert.deepEqual(tokens(''), []);
});

test('the common start and the common end do not overlap', () => {
  assert.deepEqual(commonEnds([1, 2, 3, 4], [1, 2, 5, 4]), [2, 1]);
  assert.deepEqual(commonEnds([1, 1], [1, 1, 1]), [2, 0]);
  assert.deepEqual(commonEnds([], [1]), [0, 0]);
});

test('equal texts are one unchanged part', () => {
  assert.deepEqual(diff('The lion sleeps.', 'The lion sleeps.'), [['same', 'The lion sleeps.']]);
});

test('a changed word is a deletion and an insertion between unchanged parts', () => {
  assert.deepEqual(diff('The lion sleeps.', 'The tiger sleeps.'), [
    ['same', 'The '], ['del', 'lion'], ['ins', 'tiger'], ['same', ' sleeps.'],
  ]);
});

test('the parts give back both texts, whatever changed', () => {
  const pairs = [['', 'New.'], ['Old.', ''], ['a b c d', 'd c b a'], ['动物园九点开门', '动物园六点关门'], ['a\nb', 'a b']];
  for (const [before, after] of pairs) {
    const parts = diff(before, after);
    assert.equal(side(parts, 'ins'), before);
    assert.equal(side(parts, 'del'), after);
  }
});

test('texts too long for the table differ as one replacement', () => {
  const [before, after] = [`${'a '.repeat(2100)}x`, `${'b '.repeat(2100)}y`];
  const parts = diff(before, after);
  assert.equal(side(parts, 'ins'), before);
  assert.equal(side(parts, 'del'), after);
});
