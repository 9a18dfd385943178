import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { Keyboard, isComposing } from '../../static/js/keyboard.js';
import { openBrowser } from './browser.js';

let page;
let actions;

/** Press a key; return whether the page handled it. */
function press(key, changes = {}) {
  const event = new Event('keydown', { cancelable: true });
  const { target, ...fields } = changes;
  Object.assign(event, { key, keyCode: 0, isComposing: false, repeat: false, ...fields });
  if (target) Object.defineProperty(event, 'target', { value: target });
  page.dispatchEvent(event);
  return event.defaultPrevented;
}

beforeEach(() => {
  page = openBrowser();
  actions = [];
  const record = (name) => () => actions.push(name);
  new Keyboard({ grade_2: '2', undo: 'z' }, { grade_2: record('grade_2'), undo: record('undo'), next: record('next'), leave: record('leave') });
});

test('a key does its action, in either case of the letter', () => {
  assert.ok(press('2') && press('Z'));
  assert.deepEqual(actions, ['grade_2', 'undo']);
});

test('an arrow is an alias', () => {
  press('ArrowDown');
  assert.deepEqual(actions, ['next']);
});

test('a held key moves on and on, but grades nothing', () => {
  press('2', { repeat: true });
  press('ArrowDown', { repeat: true });
  assert.deepEqual(actions, ['next']);
});

test('a key with Ctrl, Alt or Meta is left to the browser', () => {
  for (const name of ['ctrlKey', 'altKey', 'metaKey']) assert.equal(press('2', { [name]: true }), false);
  assert.deepEqual(actions, []);
});

test('keys of an input method are text', () => {
  assert.ok(isComposing({ isComposing: true }) && isComposing({ keyCode: 229 }) && isComposing({ key: 'Process' }));
  assert.equal(press('2', { isComposing: true }), false);
});

test('closed shortcuts do nothing', () => {
  page = openBrowser();
  const keyboard = new Keyboard({ grade_2: '2' }, { grade_2: () => actions.push('grade_2') });
  keyboard.close();
  press('2');
  assert.deepEqual(actions, []);
});

test('keys in a text field are text, but Escape leaves it', () => {
  const field = new globalThis.Element();
  field.closest = () => field;
  assert.equal(press('2', { target: field }), false);
  press('Escape', { target: field });
  assert.deepEqual(actions, ['leave']);
});

test('keys are off below an open dialog', () => {
  page.querySelector = () => ({});
  assert.equal(press('2'), false);
  assert.deepEqual(actions, []);
});
