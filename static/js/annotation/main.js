// The judge page: what each key, button and form does.

import { announce } from '../boot.js';
import { Keyboard } from '../keyboard.js';
import { Outbox } from '../offline/outbox.js';
import { refreshCopy, registerServiceWorker } from '../offline/page_copies.js';
import { ActiveTime } from './active_time.js';
import { selectedSpan } from './evidence.js';
import { JudgementEdits } from './judgement_edits.js';
import { Lease } from './lease.js';
import { Navigation } from './navigation.js';
import { Notices } from './notices.js';
import { PassageSearch } from './passage_search.js';
import { NextAssignment } from './prefetch.js';
import { SpanSelection } from './span_selection.js';
import { Sync } from './sync.js';
import { UndoHistory } from './undo.js';

const GRADE_ACTIONS = { grade0: '0', grade1: '1', grade2: '2', grade3: '3', cannot_tell: 'x' };

class JudgePage {
  #actions;

  constructor(root) {
    const { user, claimUrl, signInUrl, serviceWorker, keys } = root.dataset;
    this.root = root;
    this.messages = JSON.parse(document.getElementById('judge-messages').textContent);
    this.activeTime = new ActiveTime();
    this.outbox = new Outbox(user);
    this.history = new UndoHistory(user);
    this.notices = new Notices(this.messages, signInUrl);
    this.edits = new JudgementEdits(this);
    this.spanSelection = new SpanSelection(this);
    this.navigation = new Navigation(this);
    this.sync = new Sync(this, user);
    this.next = new NextAssignment(claimUrl, (element) => this.navigation.prepare(element));
    this.lease = new Lease(this.activeTime, (reason) => this.sync.showLost(reason));
    this.search = new PassageSearch(document.getElementById('search'), this.messages, (card) => this.#showAdded(card));
    this.#actions = this.#listActions();
    this.keyboard = new Keyboard(JSON.parse(keys), this.#actions);
    this.#listen();
    this.navigation.show(document.getElementById('work'), { isFirst: true });
    registerServiceWorker(serviceWorker, this.work.url.replace(/\d+\/$/, ''), () => this.navigation.loadedUrls);
  }

  /** Remember how to undo a step of the assignment on screen. */
  addUndoStep(kind, values) {
    this.history.push({ assignment: this.work.id, url: this.work.url, kind, ...values });
  }

  /** Leave the field or the selection, and return to the current passage. */
  leave() {
    this.spanSelection.stopPicking();
    document.getSelection().removeAllRanges();
    this.work.focusCard(this.work.current ?? this.work.ungradedCards[0] ?? this.work.cards[0] ?? null);
  }

  /** Load the next assignment as a page. */
  goToJudge() {
    location.assign(this.root.dataset.judgeUrl);
  }

  /** Return action → function; the names are those of the keyboard shortcuts in the preferences. */
  #listActions() {
    const grades = Object.entries(GRADE_ACTIONS).map(([action, grade]) => [action, () => this.edits.grade(grade)]);
    return {
      ...Object.fromEntries(grades),
      next: () => this.#step(1),
      previous: () => this.#step(-1),
      edit: () => this.answer?.edit(),
      submit: () => (this.spanSelection.isPicking ? this.spanSelection.mark() : this.navigation.submit()),
      undo: () => this.#undo(),
      search: () => this.work.isOpen && this.search.open(this.work),
      unanswerable: () => this.edits.toggleUnanswerable(),
      flag: () => this.#toggleDetails('flag'),
      skip: () => this.#toggleDetails('skip'),
      fold: () => this.work.toggleFold(),
      mark: () => this.spanSelection.mark(),
      cite: () => this.spanSelection.cite(),
      panel: () => this.answer?.showPanel(),
      words: () => this.#toggleHighlights(),
      guidelines: () => this.#toggleDetails('guidelines'),
      help: () => document.getElementById('help').showModal(),
      leave: () => this.leave(),
    };
  }

  #listen() {
    this.root.addEventListener('click', (event) => this.#handleClick(event));
    this.root.addEventListener('submit', (event) => this.#handleSubmit(event));
    this.root.addEventListener('focusin', (event) => this.#handleFocus(event));
    document.addEventListener('selectionchange', () => this.notices.placeToolbar(selectedSpan()));
    addEventListener('popstate', () => location.reload());
  }

  #undo() {
    if (this.navigation.isWaiting) return;
    const step = this.history.pop();
    if (!step) announce(this.messages.nothing_to_undo);
    else if (step.kind === 'submit' || step.kind === 'skip') this.navigation.undoSubmit(step);
    else if (step.assignment === this.work.id) this.edits.undo(step);
    else location.assign(step.url);
  }

  #step(step) {
    if (this.spanSelection.isPicking) this.spanSelection.pickNext(step);
    else this.work.move(step);
  }

  #toggleHighlights() {
    const isOff = this.root.classList.toggle('no-highlights');
    announce(this.messages[isOff ? 'marks_off' : 'marks_on']);
  }

  #toggleDetails(id) {
    const details = this.work.find(`#${id}`);
    if (!details) return;
    details.open = !details.open;
    if (details.open) details.querySelector('input:not([type=hidden])')?.focus();
    if (id === 'guidelines' && details.open) details.scrollIntoView({ block: 'nearest' });
  }

  #showAdded(card) {
    this.work.focusCard(card);
    refreshCopy(this.work.url);
    announce(this.messages.added);
  }

  #handleFocus(event) {
    const card = event.target.closest('.passage-card');
    if (card && card !== this.work.current) this.work.focusCard(card, { focus: false });
  }

  #handleClick(event) {
    const { target } = event;
    const remove = target.closest('.passage-card [data-remove]');
    const action = target.closest('[data-action]')?.dataset.action;
    if (remove) {
      this.spanSelection.remove(remove.closest('.passage-card'), Number(remove.dataset.remove));
    } else if (action === 'fold') this.work.toggleFold(target.closest('.passage-card'));
    else if (action === 'unsupported' && this.answer.markUnsupported() === false) this.answer.area.focus();
    else if (['mark', 'cite', 'help', 'search'].includes(action)) {
      event.preventDefault();
      this.#actions[action]();
    }
  }

  /** Handle the plain forms without leaving the page. */
  #handleSubmit(event) {
    const { target: form, submitter } = event;
    if (form.method === 'dialog' || form.closest('dialog') || !this.work.isOpen) return;
    event.preventDefault();
    if (submitter?.classList.contains('grade')) {
      this.work.focusCard(form.closest('.passage-card'));
      this.edits.grade(submitter.value);
    } else if (submitter?.dataset.action === 'unanswerable') this.edits.toggleUnanswerable();
    else if (form.dataset.form === 'flag') this.edits.flag(form.elements.comment.value);
    else if (form.dataset.form === 'skip') this.navigation.skip(form.elements.comment.value);
    else if (form.id === 'answer-form') this.navigation.submit();
  }
}

const root = document.getElementById('judge');
if (root) root.page = new JudgePage(root);
