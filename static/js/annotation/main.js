// The judge page: what each key does, and how one assignment gives way to the next.

import { announce } from '../boot.js';
import { Answer } from './answer.js';
import { keepCopies, keepCopy } from './copies.js';
import { listEvidence, paint, selected } from './evidence.js';
import { Keys } from './keys.js';
import { Lease } from './lease.js';
import { Marking } from './marking.js';
import { Notices } from './notices.js';
import { Outbox } from './outbox.js';
import { Next, fetchWork } from './prefetch.js';
import { Search } from './search.js';
import { Timer } from './timer.js';
import { Journal } from './undo.js';
import { Work } from './work.js';

const ANSWER_PAUSE = 600;
const KEPT = 20;

class Desk {
  #kept = new Map();
  #isWaiting = false;

  constructor(root) {
    this.root = root;
    this.words = JSON.parse(document.getElementById('judge-words').textContent);
    this.timer = new Timer();
    this.outbox = new Outbox(root.dataset.user);
    this.journal = new Journal(root.dataset.user);
    this.next = new Next(root.dataset.claim, (element) => this.#prepare(element));
    this.notices = new Notices(this.words, root.dataset.signIn);
    this.lease = new Lease(this.timer, (reason) => this.#lost(reason));
    this.search = new Search(document.getElementById('search'), this.words, (card) => this.#added(card));
    this.channel = new BroadcastChannel(`tandem-judge-${root.dataset.user}`);
    this.marking = new Marking(this);
    this.keys = new Keys(JSON.parse(root.dataset.keys), this.#handlers());
    this.#listen();
    this.#show(document.getElementById('work'), { isFirst: true });
    keepCopies(root.dataset.worker, this.work.url.replace(/\d+\/$/, ''), () => this.#held);
  }

  #handlers() {
    const grades = ['0', '1', '2', '3', 'x'].map((grade) => [grade === 'x' ? 'cannot_tell' : `grade${grade}`, () => this.grade(grade)]);
    return {
      ...Object.fromEntries(grades),
      next: () => this.#step(1),
      previous: () => this.#step(-1),
      edit: () => this.answer?.edit(),
      submit: () => (this.marking.isPicking ? this.marking.mark() : this.submit()),
      undo: () => this.undo(),
      search: () => this.work.isOpen && this.search.open(this.work),
      unanswerable: () => this.unanswerable(),
      flag: () => this.#open('flag'),
      skip: () => this.#open('skip'),
      fold: () => this.work.toggleFold(),
      mark: () => this.marking.mark(),
      cite: () => this.marking.cite(),
      panel: () => this.answer?.showPanel(),
      words: () => this.#toggleWords(),
      guidelines: () => this.#open('guidelines'),
      help: () => document.getElementById('help').showModal(),
      leave: () => this.#leave(),
    };
  }

  #listen() {
    this.root.addEventListener('click', (event) => this.#click(event));
    this.root.addEventListener('submit', (event) => this.#submitted(event));
    this.root.addEventListener('focusin', (event) => this.#focused(event));
    document.addEventListener('selectionchange', () => this.notices.offerSelection(selected()));
    this.outbox.addEventListener('state', ({ detail }) => this.notices.saveState(detail, this.work));
    this.outbox.addEventListener('confirmed', ({ detail }) => this.#confirmed(detail));
    this.outbox.addEventListener('refused', ({ detail }) => this.#refused(detail));
    this.channel.addEventListener('message', ({ data }) => this.#elsewhere(data));
    addEventListener('popstate', () => location.reload());
  }

  grade(grade) {
    const card = this.work.current;
    if (!card || !this.work.isOpen) return;
    this.marking.endPicking();
    this.push('grade', { passage: Number(card.dataset.passage), grade: card.dataset.grade });
    this.#setGrade(card, grade);
    const said = this.words.graded.replace('{position}', card.dataset.position).replace('{grade}', this.work.gradeLabel(grade));
    const next = this.work.moveOn();
    announce(next ? said : `${said}. ${this.words.all_graded}`);
  }

  unanswerable() {
    if (!this.work.isOpen) return;
    this.push('unanswerable', { value: this.work.isUnanswerable });
    this.#setUnanswerable(!this.work.isUnanswerable);
    announce(this.words[this.work.isUnanswerable ? 'unanswerable' : 'answerable']);
  }

  submit() {
    if (!this.work.isOpen) location.assign(this.root.dataset.judge);
    if (!this.work.isOpen || this.#isWaiting) return;
    const start = performance.now();
    const { missing } = this.work;
    if (missing.length) {
      this.work.attend(missing[0]);
      this.notices.say(this.words.still.replace('{count}', missing.length), this.work);
      return;
    }
    this.push('submit', {});
    this.#send('submit', 'submit/', {}, { isHeld: true });
    this.#goOn('submitted', start);
  }

  skip(comment) {
    this.work.find('#skip').open = false; // an undo shows it again
    this.push('skip', {});
    this.#send('skip', 'skip/', { comment }, { isHeld: true });
    this.#goOn('skipped', performance.now());
  }

  undo() {
    if (this.#isWaiting) return;
    const step = this.journal.pop();
    if (!step) announce(this.words.nothing_to_undo);
    else if (step.kind === 'submit' || step.kind === 'skip') this.#takeBack(step);
    else if (step.assignment === this.work.id) this.#undoHere(step);
    else location.assign(step.url);
  }

  #undoHere(step) {
    const card = step.passage ? this.work.card(step.passage) : null;
    if (step.kind === 'grade') this.#setGrade(card, step.grade);
    if (step.kind === 'evidence') this.setEvidence(card, step.spans);
    if (step.kind === 'unanswerable') this.#setUnanswerable(step.value);
    if (step.kind === 'flag') this.#setFlag(step.value, step.comment);
    if (step.kind === 'answer') {
      this.answer.show(step.value);
      this.#saveAnswer(0);
    }
    if (card) this.work.attend(card);
    announce(this.words.undone);
  }

  async #takeBack(step) {
    const back = this.#kept.get(step.assignment);
    this.outbox.add('undo-submit', `${step.url}undo-submit/`, {}, { assignment: step.assignment });
    this.channel.postMessage({ assignment: step.assignment, kind: 'undo-submit' });
    if (!back) {
      await this.outbox.flush(true);
      const element = await fetchWork(step.url);
      if (!element) return this.notices.say(this.words.waiting_for_connection, this.work);
      return this.#swap(element, 'taken_back', performance.now());
    }
    return this.#swap(back, 'taken_back', performance.now());
  }

  #setGrade(card, grade) {
    this.work.showGrade(card, grade);
    const evidence = grade === '' ? undefined : this.work.evidenceOf(card);
    this.#send('grade', 'grades/', {
      passage: Number(card.dataset.passage), grade, position: Number(card.dataset.position),
      seconds: this.work.takeSeconds(card), evidence,
    });
  }

  setEvidence(card, spans) {
    listEvidence(card, spans, this.words.remove);
    this.#paint();
    if (card.dataset.grade === '') return; // goes with the grade
    this.#send('grade', 'grades/', {
      passage: Number(card.dataset.passage), grade: card.dataset.grade, position: Number(card.dataset.position), evidence: spans,
    });
  }

  #setUnanswerable(value) {
    this.work.showUnanswerable(value);
    this.#send('unanswerable', 'unanswerable/', { value });
  }

  #setFlag(isFlagged, comment) {
    this.work.showFlag(isFlagged, comment);
    this.#send('flag', 'flag/', { comment, down: !isFlagged });
  }

  #saveAnswer(delay = ANSWER_PAUSE) {
    const seconds = this.timer.take(`${this.work.id}.answer`);
    this.#send('answer', 'answer/', { ...this.answer.value, seconds }, { delay });
  }

  /** Keep what was done and send it; isHeld: at the next flush. */
  #send(kind, path, body, { delay = 0, isHeld = false } = {}) {
    const entry = this.outbox.add(kind, this.work.url + path, body, { assignment: this.work.id, delay, isHeld });
    this.channel.postMessage(entry);
  }

  /** Remember how to undo a step. */
  push(kind, step) {
    this.journal.push({ assignment: this.work.id, url: this.work.url, kind, ...step });
  }

  #goOn(said, start) {
    const next = this.next.take();
    if (next) {
      this.#swap(next, said, start, { keep: said === 'submitted' });
      return;
    }
    this.#wait();
    this.outbox.flush();
    this.#fetchNext();
  }

  #wait() {
    this.#isWaiting = true;
    this.work.element.inert = true;
    this.notices.waiting(navigator.onLine ? this.words.fetching : this.words.waiting_for_connection, this.work);
  }

  /** Once everything is sent: what comes next, or the page that says there is nothing. */
  async #fetchNext() {
    if (this.outbox.pending().length || !this.#isWaiting) return;
    if (await this.next.fill(this.work.id)) {
      this.#swap(this.next.take(), 'submitted', performance.now(), { keep: true });
    } else if (this.next.isEnd) location.assign(this.root.dataset.judge);
    else setTimeout(() => this.#fetchNext(), 1000);
  }

  #swap(element, said, start, { keep = false } = {}) {
    const old = this.work;
    this.#isWaiting = false;
    old.element.inert = false;
    this.notices.waiting(null, old);
    this.#kept.set(old.id, old.element);
    if (this.#kept.size > KEPT) this.#kept.delete(this.#kept.keys().next().value);
    if (said === 'taken_back' && old.isOpen) this.next.putBack(old.element);
    scrollTo(0, 0); // before the change: after it, the page would be laid out for it once more
    old.element.replaceWith(element);
    this.#show(element, { last: keep ? old : null });
    const shown = this.work;
    requestAnimationFrame(() => setTimeout(() => {
      performance.measure('tandem:next', { start, end: performance.now() });
      if (shown === this.work) this.#afterPaint(said); // not after an undo that was quicker
    }));
  }

  /** What the eye need not wait for: the address, the voice, and the network. */
  #afterPaint(said) {
    history.pushState(null, '', this.work.url);
    announce(this.words[said].replace('{query}', this.work.question));
    this.work.measureHead();
    this.#exchange();
  }

  /** Send what waits, and have the next one ready. */
  #exchange() {
    this.outbox.flush();
    if (this.work.isOpen) this.#fill();
  }

  #show(element, { isFirst = false, last = null } = {}) {
    this.marking.endPicking();
    this.work = new Work(element, this.timer);
    this.answer = this.#answerOf(this.work);
    if (this.work.isOpen) this.#fillIn(last);
    this.#arrive(isFirst);
    if (!isFirst) return;
    if (this.work.isOpen && this.#isLeaving) this.#wait();
    this.#exchange();
  }

  /** The addresses of the question on screen and of the one that is ready after it. */
  get #held() {
    return [this.work.url, this.next.url].filter(Boolean);
  }

  /** Whether its submit or skip is on the way and was not undone: it was reloaded before the connection was back. */
  get #isLeaving() {
    const last = this.outbox.pending(this.work.id).findLast(({ kind }) => ['submit', 'skip', 'undo-submit'].includes(kind));
    return last !== undefined && last.kind !== 'undo-submit';
  }

  /** What the markup of an open question does not say. */
  #fillIn(last) {
    const sent = this.root.dataset.copy ? this.outbox.sent(this.work.id) : []; // a copy may be older than they are
    for (const entry of [...sent, ...this.outbox.pending(this.work.id)]) this.#apply(entry);
    for (const card of this.work.marked) listEvidence(card, this.work.evidenceOf(card), this.words.remove);
    this.#paint();
    this.notices.last(last, this.work);
    this.notices.saveState({ state: this.outbox.pending().length ? 'saving' : 'saved', waiting: 0 }, this.work);
    this.lease.keep(this.work.leaseSeconds, () => this.#held);
  }

  /** Go to the first passage without a grade. After all other changes: focus and scrolling lay out the whole page. */
  #arrive(isFirst) {
    const card = this.work.isOpen && !(isFirst && location.hash) ? (this.work.ungraded[0] ?? this.work.cards[0] ?? null) : null;
    const isOnTop = card === this.work.cards[0];
    if (isFirst || (card && !isOnTop)) this.work.measureHead(); // else it can wait until the question is painted
    if (card) this.work.attend(card, { scroll: isFirst || !isOnTop });
  }

  /** Its answer; made once, ahead of time where the question was fetched ahead. */
  #answerOf(work) {
    if (!work.isOpen) return null;
    work.element.answer ??= new Answer(work, this.words, {
      onChange: () => this.#saveAnswer(),
      onSession: (value) => this.push('answer', { value }),
    });
    work.element.answer.work = work;
    return work.element.answer;
  }

  /** All that can be done for a question before it is shown. */
  #prepare(element) {
    requestIdleCallback(() => this.#answerOf(new Work(element, this.timer)), { timeout: 1000 });
  }

  /** Have the next one ready; not before the last submit has arrived, or it would be given out again. */
  #fill() {
    const isSubmitting = this.outbox.pending().some(({ kind }) => ['submit', 'skip', 'undo-submit'].includes(kind));
    if (!isSubmitting && this.work.isOpen && navigator.onLine) this.next.fill(this.work.id);
  }

  #confirmed({ entry, body }) {
    if (entry.kind === 'submit' && body.gold) this.notices.gold(body.gold, this.work);
    if (!['submit', 'skip', 'undo-submit'].includes(entry.kind)) return;
    if (this.#isWaiting) this.#fetchNext();
    else this.#fill();
  }

  #refused({ entry, status, body }) {
    const reason = body.error ?? String(status);
    const said = this.words.refused.replace('{reason}', reason);
    const isHere = entry.assignment === this.work.id || entry.kind === 'undo-submit';
    if (entry.kind === 'undo-submit') this.journal.forget(entry.assignment); // nothing of it can be undone any more
    if (isHere && status === 409) {
      this.#isWaiting = false;
      this.work.element.inert = false;
      this.notices.waiting(null, this.work);
      this.#lost(reason);
    } else {
      const page = entry.url.replace(/[^/]+\/$/, '');
      this.notices.lost(said, this.work, { [this.words.show_it]: () => location.assign(page) });
    }
    announce(said);
  }

  #lost(reason) {
    this.notices.lost(this.words.lost.replace('{reason}', reason), this.work, {
      [this.words.copy]: () => navigator.clipboard.writeText(this.answer?.text ?? '').then(() => announce(this.words.copied)),
      [this.words.next]: () => location.assign(this.root.dataset.judge),
    });
  }

  /** Another tab did something to the assignment on this screen. */
  #elsewhere(entry) {
    if (entry.assignment !== this.work.id) return;
    if (entry.kind === 'submit') {
      this.notices.lost(this.words.elsewhere, this.work, { [this.words.next]: () => location.assign(this.root.dataset.judge) });
    } else if (entry.kind === 'undo-submit') this.notices.lost(null, this.work);
    else if (entry.kind === 'answer' && this.answer.isEditing) {
      this.notices.lost(this.words.changed_elsewhere, this.work, {
        [this.words.use_theirs]: () => {
          this.answer.show(entry.body);
          this.notices.lost(null, this.work);
        },
      });
    } else this.#apply(entry);
    this.#paint();
  }

  /** Show what an entry says: after a reload, what is not sent yet; from another tab, what it did. */
  #apply({ kind, body }) {
    const card = body?.passage ? this.work.card(body.passage) : null;
    if (kind === 'grade' && card) {
      this.work.showGrade(card, body.grade);
      if (body.evidence) listEvidence(card, body.evidence, this.words.remove);
    }
    if (kind === 'answer') this.answer.show(body);
    if (kind === 'unanswerable') this.work.showUnanswerable(body.value);
    if (kind === 'flag') this.work.showFlag(!body.down, body.comment);
  }

  #step(step) {
    if (this.marking.isPicking) this.marking.movePicked(step);
    else this.work.move(step);
  }

  #leave() {
    this.marking.endPicking();
    document.getSelection().removeAllRanges();
    this.work.attend(this.work.current ?? this.work.ungraded[0] ?? this.work.cards[0] ?? null);
  }

  #paint() {
    paint('evidence', this.work.marked.map((card) => [card, this.work.evidenceOf(card)]));
  }

  #toggleWords() {
    const isOff = this.root.classList.toggle('no-marks');
    announce(this.words[isOff ? 'marks_off' : 'marks_on']);
  }

  #open(id) {
    const panel = this.work.find(`#${id}`);
    if (!panel) return;
    panel.open = !panel.open;
    if (panel.open) panel.querySelector('input:not([type=hidden])')?.focus();
    if (id === 'guidelines' && panel.open) panel.scrollIntoView({ block: 'nearest' });
  }

  #added(card) {
    this.work.attend(card);
    keepCopy(this.work.url);
    announce(this.words.added);
  }

  #focused(event) {
    const card = event.target.closest('.judged');
    if (card && card !== this.work.current) this.work.attend(card, { focus: false });
  }

  #click(event) {
    const remove = event.target.closest('.judged [data-remove]');
    const act = event.target.closest('[data-act]')?.dataset.act;
    if (remove) {
      this.marking.remove(remove.closest('.judged'), Number(remove.dataset.remove));
    } else if (act === 'fold') this.work.toggleFold(event.target.closest('.judged'));
    else if (act === 'unsupported' && this.answer.markUnsupported() === false) this.answer.area.focus();
    else if (['mark', 'cite', 'help', 'search'].includes(act)) {
      event.preventDefault();
      this.#handlers()[act]();
    }
  }

  /** Plain forms, taken over: the same acts, without leaving the page. */
  #submitted(event) {
    const form = event.target;
    const { submitter } = event;
    if (form.method === 'dialog' || form.closest('dialog') || !this.work.isOpen) return;
    event.preventDefault();
    if (submitter?.classList.contains('grade')) {
      this.work.attend(form.closest('.judged'));
      this.grade(submitter.value);
    } else if (submitter?.dataset.act === 'unanswerable') this.unanswerable();
    else if (form.dataset.form === 'flag') this.#flag(form.elements.comment.value);
    else if (form.dataset.form === 'skip') this.skip(form.elements.comment.value);
    else if (form.id === 'answer-form') this.submit();
  }

  #flag(comment) {
    this.push('flag', { value: this.work.isFlagged, comment: this.work.find('#flag-comment').defaultValue });
    this.#setFlag(true, comment);
    this.work.find('#flag').open = false;
    this.#leave();
    announce(this.words.flagged);
  }
}

const root = document.getElementById('judge');
if (root) root.desk = new Desk(root);
