// Edits of the assignment on screen: each is shown, sent to the server, and can be undone.

import { announce } from '../boot.js';
import { highlight, listEvidence } from './evidence.js';

const ANSWER_DELAY = 600; // ms without typing before the answer is sent

export class JudgementEdits {
  /** page: the JudgePage. */
  constructor(page) {
    this.page = page;
  }

  /** Grade the current passage and go to the next. grade: '0' to '3', or 'x' for can't tell. */
  grade(grade) {
    const { work, messages, spanSelection } = this.page;
    const card = work.current;
    if (!card || !work.isOpen) return;
    spanSelection.stopPicking();
    this.page.addUndoStep('grade', { passage: Number(card.dataset.passage), grade: card.dataset.grade });
    this.#setGrade(card, grade);
    const text = messages.graded.replace('{position}', card.dataset.position).replace('{grade}', work.gradeLabel(grade));
    const next = work.moveAfterGrade();
    announce(next ? text : `${text}. ${messages.all_graded}`);
  }

  toggleUnanswerable() {
    const { work, messages } = this.page;
    if (!work.isOpen) return;
    this.page.addUndoStep('unanswerable', { value: work.isUnanswerable });
    this.#setUnanswerable(!work.isUnanswerable);
    announce(messages[work.isUnanswerable ? 'unanswerable' : 'answerable']);
  }

  flag(comment) {
    const { work, messages } = this.page;
    this.page.addUndoStep('flag', { value: work.isFlagged, comment: work.find('#flag-comment').defaultValue });
    this.#setFlag(true, comment);
    work.find('#flag').open = false;
    this.page.leave();
    announce(messages.flagged);
  }

  changeEvidence(card, spans) {
    this.page.addUndoStep('evidence', { passage: Number(card.dataset.passage), spans: this.page.work.evidenceOf(card) });
    this.#setEvidence(card, spans);
  }

  saveAnswer(delay = ANSWER_DELAY) {
    const { work, answer, activeTime, sync } = this.page;
    const seconds = activeTime.take(`${work.id}.answer`);
    sync.send('answer', 'answer/', { ...answer.value, seconds }, { delay });
  }

  /** Undo a step of the assignment on screen. */
  undo(step) {
    const { work, answer, messages } = this.page;
    const card = step.passage ? work.card(step.passage) : null;
    if (step.kind === 'grade') this.#setGrade(card, step.grade);
    if (step.kind === 'evidence') this.#setEvidence(card, step.spans);
    if (step.kind === 'unanswerable') this.#setUnanswerable(step.value);
    if (step.kind === 'flag') this.#setFlag(step.value, step.comment);
    if (step.kind === 'answer') {
      answer.show(step.value);
      this.saveAnswer(0);
    }
    if (card) work.focusCard(card);
    announce(messages.undone);
  }

  /** Show an act of the outbox: after a reload, one that is not on the page yet; from another tab, what it did. */
  apply({ kind, body }) {
    const { work, answer, messages } = this.page;
    const card = body?.passage ? work.card(body.passage) : null;
    if (kind === 'grade' && card) {
      work.showGrade(card, body.grade);
      if (body.evidence) listEvidence(card, body.evidence, messages.remove);
    }
    if (kind === 'answer') answer.show(body);
    if (kind === 'unanswerable') work.showUnanswerable(body.value);
    if (kind === 'flag') work.showFlag(!body.down, body.comment);
  }

  highlightEvidence() {
    const { work } = this.page;
    highlight('evidence', work.cardsWithEvidence.map((card) => [card, work.evidenceOf(card)]));
  }

  #setGrade(card, grade) {
    const { work } = this.page;
    work.showGrade(card, grade);
    const evidence = grade === '' ? undefined : work.evidenceOf(card);
    this.#sendGrade(card, { seconds: work.takeSeconds(card), evidence });
  }

  #setEvidence(card, spans) {
    listEvidence(card, spans, this.page.messages.remove);
    this.highlightEvidence();
    if (card.dataset.grade !== '') this.#sendGrade(card, { evidence: spans }); // else it is sent with the grade
  }

  #sendGrade(card, fields) {
    const { passage, grade, position } = card.dataset;
    this.page.sync.send('grade', 'grades/', { passage: Number(passage), grade, position: Number(position), ...fields });
  }

  #setUnanswerable(value) {
    this.page.work.showUnanswerable(value);
    this.page.sync.send('unanswerable', 'unanswerable/', { value });
  }

  #setFlag(isFlagged, comment) {
    this.page.work.showFlag(isFlagged, comment);
    this.page.sync.send('flag', 'flag/', { comment, down: !isFlagged });
  }
}
