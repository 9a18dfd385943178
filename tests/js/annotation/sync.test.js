import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { openBrowser, respondWith, setGlobal } from '../browser.js';

openBrowser();
mock.timers.enable({ apis: ['setInterval'] }); // boot.js starts one, which would keep node alive
const { Outbox } = await import('../../../static/js/offline/outbox.js');
const { Sync } = await import('../../../static/js/annotation/sync.js');

const MESSAGES = {
  refused: 'Not saved: {reason}', reservation_lost: 'Lost: {reason}', show: 'Show', show_next: 'Next', copy_answer: 'Copy',
  submitted_elsewhere: 'Submitted in another tab.', changed_elsewhere: 'Changed in another tab.', show_that_version: 'Show that',
};

let calls;
let channel;
let page;
let sync;

/** An object that records the calls of these methods. */
function recorder(...names) {
  return Object.fromEntries(names.map((name) => [name, (...values) => calls.push([name, ...values])]));
}

beforeEach(() => {
  openBrowser();
  calls = [];
  channel = new EventTarget();
  channel.posted = [];
  channel.postMessage = (data) => channel.posted.push(data);
  setGlobal('BroadcastChannel', function openChannel() {
    return channel;
  });
  page = {
    outbox: new Outbox('7'),
    work: { id: 1, url: '/assignments/1/' },
    messages: MESSAGES,
    answer: { isEditing: false },
    notices: recorder('showSaveState', 'showWarning', 'hideWarning', 'showGoldResult'),
    navigation: recorder('continue', 'stopWaiting'),
    history: recorder('forget'),
    edits: recorder('apply', 'highlightEvidence'),
  };
  sync = new Sync(page, '7');
});

const called = (name) => calls.filter(([method]) => method === name).map(([, ...values]) => values);
const receive = (data) => channel.dispatchEvent(new MessageEvent('message', { data }));

test('an act is stored with its assignment, sent, and posted to the other tabs', async () => {
  const requests = respondWith();
  sync.send('grade', 'grades/', { passage: 3, grade: '2' }, { isHeld: true });
  assert.deepEqual(channel.posted.map(({ kind, assignment, url }) => [kind, assignment, url]), [['grade', 1, '/assignments/1/grades/']]);
  await page.outbox.flush();
  assert.equal(requests[0].url, '/assignments/1/grades/');
  assert.deepEqual(called('continue'), []);
});

test('an assignment is leaving while its submit waits, unless that was undone', () => {
  respondWith([0], [0]);
  assert.equal(sync.isLeaving(1), false);
  sync.send('submit', 'submit/', {}, { isHeld: true });
  assert.ok(sync.isLeaving(1) && sync.isClosing && !sync.isLeaving(2));
  sync.sendUndoSubmit({ url: '/assignments/1/', assignment: 1 });
  assert.equal(sync.isLeaving(1), false);
  assert.ok(sync.isClosing);
});

test('a confirmed submit goes on, and shows the result of a gold question', async () => {
  respondWith([200, { gold: { known: 4, right: 3 } }]);
  sync.send('submit', 'submit/', {}, { isHeld: true });
  await page.outbox.flush();
  assert.equal(called('continue').length, 1);
  assert.deepEqual(called('showGoldResult')[0][0], { known: 4, right: 3 });
});

test('a conflict on the assignment on screen says that it is lost; on another one it links to it', async () => {
  respondWith([409, { error: 'Somebody else has it.' }], [409, { error: 'Submitted.' }]);
  sync.send('grade', 'grades/', { passage: 3, grade: '2' }, { isHeld: true });
  await page.outbox.flush();
  assert.equal(called('showWarning')[0][0], 'Lost: Somebody else has it.');
  page.outbox.add('grade', '/assignments/9/grades/', { passage: 3, grade: '2' }, { assignment: 9, isHeld: true });
  await page.outbox.flush();
  const [text, , actions] = called('showWarning')[1];
  assert.equal(text, 'Not saved: Submitted.');
  assert.deepEqual(Object.keys(actions), ['Show']);
});

test('a refused undo of a submit forgets the steps of that assignment', async () => {
  respondWith([409, { error: 'Resolved.' }]);
  page.outbox.add('undo-submit', '/assignments/9/undo-submit/', {}, { assignment: 9, isHeld: true });
  await page.outbox.flush();
  assert.deepEqual(called('forget'), [[9]]);
});

test('what another tab does to this assignment is shown; what it does to another is not', () => {
  receive({ assignment: 2, kind: 'grade', body: { passage: 3, grade: '1' } });
  assert.deepEqual(calls, []);
  const grade = { assignment: 1, kind: 'grade', body: { passage: 3, grade: '1' } };
  receive(grade);
  assert.deepEqual(called('apply'), [[grade]]);
  receive({ assignment: 1, kind: 'submit', body: {} });
  assert.equal(called('showWarning')[0][0], 'Submitted in another tab.');
  receive({ assignment: 1, kind: 'undo-submit' });
  assert.equal(called('hideWarning').length, 1);
});

test('an answer from another tab does not overwrite one that is being edited', () => {
  const answer = { assignment: 1, kind: 'answer', body: { text: 'Theirs.' } };
  receive(answer);
  assert.equal(called('apply').length, 1);
  page.answer.isEditing = true;
  receive(answer);
  assert.equal(called('apply').length, 1);
  assert.equal(called('showWarning')[0][0], 'Changed in another tab.');
});
