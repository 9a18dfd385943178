import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { openBrowser, setGlobal } from '../browser.js';

let page;
let milliseconds;

const { ActiveTime } = await import('../../../static/js/annotation/active_time.js');

function wait(seconds) {
  milliseconds += seconds * 1000;
}

function act() {
  page.dispatchEvent(new Event('keydown'));
}

beforeEach(() => {
  page = openBrowser();
  milliseconds = 1000;
  setGlobal('performance', { now: () => milliseconds });
});

test('seconds belong to the key that is current', () => {
  const time = new ActiveTime();
  time.switchTo('1.3');
  wait(4);
  act();
  time.switchTo('1.4');
  wait(2);
  assert.equal(time.take('1.3'), 4);
  assert.equal(time.take('1.4'), 2);
});

test('seconds are taken once', () => {
  const time = new ActiveTime();
  time.switchTo('1.3');
  wait(4);
  assert.equal(time.take('1.3'), 4);
  assert.equal(time.take('1.3'), 0);
});

test('without activity the time stops after 30 seconds, and starts again with it', () => {
  const time = new ActiveTime();
  time.switchTo('1.3');
  wait(100);
  assert.equal(time.idleSeconds, 100);
  act();
  wait(5);
  assert.equal(time.take('1.3'), 35);
});

test('a hidden page counts nothing', () => {
  const time = new ActiveTime();
  time.switchTo('1.3');
  wait(4);
  page.hidden = true;
  page.dispatchEvent(new Event('visibilitychange'));
  wait(20);
  page.hidden = false;
  page.dispatchEvent(new Event('visibilitychange'));
  act();
  wait(1);
  assert.equal(time.take('1.3'), 5);
});

test('no key counts nothing', () => {
  const time = new ActiveTime();
  time.switchTo(null);
  wait(4);
  time.switchTo('1.3');
  assert.equal(time.take('1.3'), 0);
});
