import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { openBrowser, respondWith } from '../browser.js';

openBrowser();
const { Outbox, clearSent } = await import('../../../static/js/offline/outbox.js');

/** Wait until the outbox has stopped sending. */
const settled = () => new Promise((resolve) => setTimeout(resolve, 20));

beforeEach(openBrowser);

test('an act is stored before anything is sent, and removed when the server has confirmed it', async () => {
  const requests = respondWith([200, {}]);
  const outbox = new Outbox('7');
  outbox.add('grade', '/grades/', { passage: 3, grade: 2 }, { assignment: 1 });
  assert.equal(outbox.pending().length, 1);
  await settled();
  assert.equal(outbox.pending().length, 0);
  assert.deepEqual(requests.map(({ url, body }) => [url, body]), [['/grades/', { passage: 3, grade: 2 }]]);
});

test('acts are sent in order, each with an idempotency key of its own', async () => {
  const requests = respondWith();
  const outbox = new Outbox('7');
  for (const grade of [1, 2, 3]) outbox.add('grade', '/grades/', { passage: grade, grade }, { assignment: 1, isHeld: true });
  await outbox.flush();
  assert.deepEqual(requests.map(({ body }) => body.grade), [1, 2, 3]);
  assert.equal(new Set(requests.map(({ headers }) => headers['Idempotency-Key'])).size, 3);
});

test('an act that nobody received stays, and is sent again with the same key', async () => {
  const requests = respondWith([0], [200, {}]);
  const outbox = new Outbox('7');
  outbox.add('grade', '/grades/', { passage: 3, grade: 2 }, { assignment: 1, isHeld: true });
  await outbox.flush();
  assert.equal(outbox.pending().length, 1);
  await outbox.flush();
  assert.equal(outbox.pending().length, 0);
  assert.equal(requests[0].headers['Idempotency-Key'], requests[1].headers['Idempotency-Key']);
});

test('a later act of the same kind replaces one whose delay has not passed', async () => {
  const requests = respondWith();
  const outbox = new Outbox('7');
  outbox.add('answer', '/answer/', { text: 'A' }, { assignment: 1, delay: 60_000, isHeld: true });
  outbox.add('answer', '/answer/', { text: 'Ab' }, { assignment: 1, delay: 60_000, isHeld: true });
  await outbox.flush(true);
  assert.deepEqual(requests.map(({ body }) => body.text), ['Ab']);
});

test('a refused act is reported, and the next one is sent', async () => {
  const requests = respondWith([409, { error: 'It was submitted.' }], [200, {}]);
  const outbox = new Outbox('7');
  const refused = [];
  outbox.addEventListener('refused', ({ detail }) => refused.push(detail.status));
  for (const grade of [1, 2]) outbox.add('grade', '/grades/', { passage: grade, grade }, { assignment: 1, isHeld: true });
  await outbox.flush();
  assert.deepEqual(refused, [409]);
  assert.equal(requests.length, 2);
});

test('nobody sends the work of another person from a shared browser', async () => {
  const requests = respondWith();
  new Outbox('7').add('grade', '/grades/', { passage: 3, grade: 2 }, { assignment: 1, isHeld: true });
  await new Outbox('8').flush();
  assert.equal(requests.length, 0);
});

test('an act that a page of an older version left is sent to its address of today', async () => {
  const requests = respondWith();
  const entry = { id: 'tandem.outbox.7.1', key: 'k', kind: 'take-back', url: '/p/zoo/assignments/3/take-back/', body: {}, assignment: 3 };
  localStorage.setItem(entry.id, JSON.stringify({ ...entry, notBefore: 0 }));
  const outbox = new Outbox('7');
  assert.equal(outbox.pending(3)[0].kind, 'undo-submit');
  await outbox.flush();
  assert.deepEqual(requests.map(({ url, headers }) => [url, headers['Idempotency-Key']]), [['/p/zoo/assignments/3/undo-submit/', 'k']]);
  assert.equal(outbox.pending().length, 0);
});

test('the state is saving, then saved; offline without a connection; signed out at 401', async () => {
  const states = [];
  const follow = (outbox) => outbox.addEventListener('state', ({ detail }) => states.push(`${detail.state} ${detail.waiting}`));
  const send = async (...responses) => {
    respondWith(...responses);
    const outbox = new Outbox('7');
    follow(outbox);
    outbox.add('grade', '/grades/', { passage: 3, grade: 2 }, { assignment: 1, isHeld: true });
    await outbox.flush();
    return states.splice(0).at(-1);
  };
  assert.equal(await send([200, {}]), 'saved 0');
  assert.equal(await send([0]), 'offline 1');
  assert.equal(await send([401, {}]), 'signed-out 2');
});

test('confirmed values of an assignment are remembered until its submit, the newest of each passage', async () => {
  respondWith();
  const outbox = new Outbox('7');
  const add = (kind, body) => outbox.add(kind, `/${kind}/`, body, { assignment: 1, isHeld: true });
  add('grade', { passage: 3, grade: '1' });
  add('grade', { passage: 3, grade: '2' });
  add('unanswerable', { value: true });
  await outbox.flush();
  assert.deepEqual(outbox.sent(1).map(({ body }) => body), [{ passage: 3, grade: '2' }, { value: true }]);
  add('submit', {});
  await outbox.flush();
  assert.deepEqual(outbox.sent(1), []);
});

test('clearing what was sent leaves what waits', async () => {
  respondWith([200, {}], [0]);
  const outbox = new Outbox('7');
  for (const passage of [3, 4]) outbox.add('grade', '/grades/', { passage, grade: '1' }, { assignment: 1, isHeld: true });
  await outbox.flush();
  clearSent();
  assert.deepEqual(outbox.sent(1), []);
  assert.equal(outbox.pending().length, 1);
});
