// Navigation: from one assignment to the next with a submit or a skip, and back with an undo.

import { announce } from '../boot.js';
import { AnswerEditor } from './answer.js';
import { listEvidence } from './evidence.js';
import { fetchAssignment } from './prefetch.js';
import { Work } from './work.js';

const MAX_RECENT = 20; // assignments that an undo shows again without loading them
const RETRY_DELAY = 1000; // ms

export class Navigation {
  #recent = new Map(); // assignment id → its element
  #isWaiting = false; // for the connection, or for the next assignment

  /** page: the JudgePage. */
  constructor(page) {
    this.page = page;
  }

  get isWaiting() {
    return this.#isWaiting;
  }

  /** The URLs of the assignment on screen and of the one that is ready after it. */
  get loadedUrls() {
    return [this.page.work.url, this.page.next.url].filter(Boolean);
  }

  submit() {
    const { work, messages, notices } = this.page;
    if (!work.isOpen) this.page.goToJudge();
    if (!work.isOpen || this.#isWaiting) return;
    const start = performance.now();
    const missing = work.missingGrades;
    if (missing.length) {
      work.focusCard(missing[0]);
      notices.showBriefly(messages.grades_missing.replace('{count}', missing.length), work);
      return;
    }
    this.page.addUndoStep('submit', {});
    this.page.sync.send('submit', 'submit/', {}, { isHeld: true });
    this.#goToNext('submitted', start);
  }

  skip(comment) {
    this.page.work.find('#skip').open = false; // an undo shows it again
    this.page.addUndoStep('skip', {});
    this.page.sync.send('skip', 'skip/', { comment }, { isHeld: true });
    this.#goToNext('skipped', performance.now());
  }

  /** Show an assignment again whose submit or skip is undone. */
  async undoSubmit(step) {
    const { messages, notices, outbox, sync, work } = this.page;
    const recent = this.#recent.get(step.assignment);
    sync.sendUndoSubmit(step);
    if (recent) return this.#replaceWith(recent, 'submit_undone', performance.now());
    await outbox.flush(true);
    const element = await fetchAssignment(step.url);
    if (!element) return notices.showBriefly(messages.waiting_for_connection, work);
    return this.#replaceWith(element, 'submit_undone', performance.now());
  }

  /** Show an assignment. isFirst: of a page that was just loaded; previous: the work before it, to link to. */
  show(element, { isFirst = false, previous = null } = {}) {
    const { page } = this;
    page.spanSelection.stopPicking();
    page.work = new Work(element, page.activeTime);
    page.answer = this.#answerOf(page.work);
    if (page.work.isOpen) this.#showUnsaved(previous);
    this.#focusFirst(isFirst);
    if (!isFirst) return;
    if (page.work.isOpen && page.sync.isLeaving(page.work.id)) this.#wait(); // reloaded before its submit was sent
    this.#sendAndPrefetch();
  }

  /** Go on after the server has confirmed a submit, a skip or their undo. */
  continue() {
    if (this.#isWaiting) this.#loadNext();
    else this.#prefetch();
  }

  stopWaiting() {
    this.#isWaiting = false;
    this.page.work.element.inert = false;
    this.page.notices.showLoading(null, this.page.work);
  }

  /** Do what can be done for an assignment before it is shown. */
  prepare(element) {
    requestIdleCallback(() => this.#answerOf(new Work(element, this.page.activeTime)), { timeout: 1000 });
  }

  #goToNext(message, start) {
    const element = this.page.next.take();
    if (element) {
      this.#replaceWith(element, message, start, { hasLink: message === 'submitted' });
      return;
    }
    this.#wait();
    this.page.outbox.flush();
    this.#loadNext();
  }

  #wait() {
    const { messages, notices, work } = this.page;
    this.#isWaiting = true;
    work.element.inert = true;
    notices.showLoading(navigator.onLine ? messages.fetching : messages.waiting_for_connection, work);
  }

  /** Once everything is sent, show the next assignment, or the page that says there is none. */
  async #loadNext() {
    const { next, outbox, work } = this.page;
    if (outbox.pending().length || !this.#isWaiting) return;
    if (await next.prefetch(work.id)) {
      this.#replaceWith(next.take(), 'submitted', performance.now(), { hasLink: true });
    } else if (next.isQueueEmpty) this.page.goToJudge();
    else setTimeout(() => this.#loadNext(), RETRY_DELAY);
  }

  #replaceWith(element, message, start, { hasLink = false } = {}) {
    const old = this.page.work;
    this.stopWaiting();
    this.#recent.set(old.id, old.element);
    if (this.#recent.size > MAX_RECENT) this.#recent.delete(this.#recent.keys().next().value);
    if (message === 'submit_undone' && old.isOpen) this.page.next.replace(old.element);
    scrollTo(0, 0); // before the change: after it, the page would be laid out for it once more
    old.element.replaceWith(element);
    this.show(element, { previous: hasLink ? old : null });
    const shown = this.page.work;
    requestAnimationFrame(() => setTimeout(() => {
      performance.measure('tandem:next', { start, end: performance.now() });
      if (shown === this.page.work) this.#finish(message); // not after an undo that was quicker
    }));
  }

  /** After the paint: the address, the announcement, the layout of the head, and the network. */
  #finish(message) {
    const { work, messages } = this.page;
    history.pushState(null, '', work.url);
    announce(messages[message].replace('{query}', work.query));
    work.measureHead();
    this.#sendAndPrefetch();
  }

  #sendAndPrefetch() {
    this.page.outbox.flush();
    if (this.page.work.isOpen) this.#prefetch();
  }

  /** Prefetch the next assignment, but not while a submit waits: the queue would still hold the submitted one. */
  #prefetch() {
    const { next, sync, work } = this.page;
    if (!sync.isClosing && work.isOpen && navigator.onLine) next.prefetch(work.id);
  }

  /** Show on an open assignment what its markup does not have: unsent acts, evidence, the save state. */
  #showUnsaved(previous) {
    const { edits, lease, messages, notices, outbox, root, work } = this.page;
    const sent = root.dataset.copy ? outbox.sent(work.id) : []; // a copy of the page may be older than they are
    for (const entry of [...sent, ...outbox.pending(work.id)]) edits.apply(entry);
    for (const card of work.cardsWithEvidence) listEvidence(card, work.evidenceOf(card), messages.remove);
    edits.highlightEvidence();
    notices.showPreviousLink(previous, work);
    notices.showSaveState({ state: outbox.pending().length ? 'saving' : 'saved', waiting: 0 }, work);
    lease.renewRegularly(work.leaseSeconds, () => this.loadedUrls);
  }

  /** Go to the first passage without a grade. Last of all, because focus and scrolling lay out the whole page. */
  #focusFirst(isFirst) {
    const { work } = this.page;
    const hasTarget = isFirst && location.hash;
    const card = work.isOpen && !hasTarget ? (work.ungradedCards[0] ?? work.cards[0] ?? null) : null;
    const isOnTop = card === work.cards[0];
    if (isFirst || (card && !isOnTop)) work.measureHead(); // else it can wait until after the paint
    if (card) work.focusCard(card, { scroll: isFirst || !isOnTop });
  }

  /** Return the editor of the answer; made once, ahead of time where the assignment was prefetched. */
  #answerOf(work) {
    if (!work.isOpen) return null;
    work.element.answer ??= new AnswerEditor(work, this.page.messages, {
      onChange: () => this.page.edits.saveAnswer(),
      onEdited: (value) => this.page.addUndoStep('answer', { value }),
    });
    work.element.answer.work = work;
    return work.element.answer;
  }
}
