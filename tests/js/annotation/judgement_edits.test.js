import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { openBrowser } from '../browser.js';

openBrowser();
mock.timers.enable({ apis: ['setInterval'] }); // boot.js starts one, which would keep node alive
const { JudgementEdits } = await import('../../../static/js/annotation/judgement_edits.js');

let card;
let edits;
let sent;
let steps;
let work;

beforeEach(() => {
  openBrowser();
  [sent, steps] = [[], []];
  card = { dataset: { passage: '3', position: '1', grade: '' } };
  work = {
    isOpen: true,
    isUnanswerable: false,
    current: card,
    cardsWithEvidence: [],
    card: () => card,
    evidenceOf: () => [[0, 4]],
    focusCard: () => {},
    gradeLabel: () => '2 Partly answers',
    moveAfterGrade: () => null,
    showGrade: (target, grade) => (target.dataset.grade = grade),
    showUnanswerable: (value) => (work.isUnanswerable = value),
    takeSeconds: () => 4.5,
  };
  const page = {
    work,
    messages: { graded: 'Passage {position}: {grade}', all_graded: 'All graded.' },
    spanSelection: { stopPicking: () => {} },
    sync: { send: (kind, path, body) => sent.push([kind, path, body]) },
    addUndoStep: (kind, values) => steps.push({ kind, ...values }),
  };
  edits = new JudgementEdits(page);
});

test('a grade is shown and sent with its position, its seconds and its evidence', () => {
  edits.grade('2');
  assert.equal(card.dataset.grade, '2');
  const body = { passage: 3, grade: '2', position: 1, seconds: 4.5, evidence: [[0, 4]] };
  assert.deepEqual(sent, [['grade', 'grades/', body]]);
});

test('an undo sends the grade before, which was none', () => {
  edits.grade('2');
  assert.deepEqual(steps, [{ kind: 'grade', passage: 3, grade: '' }]);
  edits.undo(steps[0]);
  assert.equal(card.dataset.grade, '');
  assert.deepEqual(sent.at(-1)[2], { passage: 3, grade: '', position: 1, seconds: 4.5, evidence: undefined });
});

test('“no answer in corpus” is set, and removed by the second call', () => {
  edits.toggleUnanswerable();
  edits.toggleUnanswerable();
  assert.deepEqual(sent.map(([, , { value }]) => value), [true, false]);
  assert.deepEqual(steps.map(({ value }) => value), [false, true]);
});

test('nothing can be changed after the submit', () => {
  work.isOpen = false;
  edits.grade('2');
  edits.toggleUnanswerable();
  assert.deepEqual(sent, []);
});
