// Synchronization: what the person does goes to the server and to other tabs; what they answer is shown.

import { announce } from '../boot.js';

const CLOSING_KINDS = new Set(['submit', 'skip', 'undo-submit']); // acts that close an assignment or open it again

export class Sync {
  /** page: the JudgePage, with its outbox. */
  constructor(page, owner) {
    this.page = page;
    this.channel = new BroadcastChannel(`tandem-judge-${owner}`);
    this.channel.addEventListener('message', ({ data }) => this.#showOtherTab(data));
    page.outbox.addEventListener('state', ({ detail }) => page.notices.showSaveState(detail, page.work));
    page.outbox.addEventListener('confirmed', ({ detail }) => this.#confirmed(detail));
    page.outbox.addEventListener('refused', ({ detail }) => this.#refused(detail));
  }

  /** Store an act on the assignment on screen and send it; with isHeld, at the next flush. */
  send(kind, path, body, { delay = 0, isHeld = false } = {}) {
    const { work, outbox } = this.page;
    this.channel.postMessage(outbox.add(kind, work.url + path, body, { assignment: work.id, delay, isHeld }));
  }

  /** Undo the submit or the skip of another assignment: step is that of the undo history. */
  sendUndoSubmit({ url, assignment }) {
    this.page.outbox.add('undo-submit', `${url}undo-submit/`, {}, { assignment });
    this.channel.postMessage({ assignment, kind: 'undo-submit' });
  }

  /** Whether a submit, a skip or an undo of them waits to be sent. */
  get isClosing() {
    return this.page.outbox.pending().some(({ kind }) => CLOSING_KINDS.has(kind));
  }

  /** Whether the submit or the skip of this assignment waits, and was not undone. */
  isLeaving(assignment) {
    const last = this.page.outbox.pending(assignment).findLast(({ kind }) => CLOSING_KINDS.has(kind));
    return last !== undefined && last.kind !== 'undo-submit';
  }

  /** Say that the assignment on screen belongs to somebody else now; the answer can be copied. */
  showLost(reason) {
    const { messages, notices, work } = this.page;
    notices.showWarning(messages.reservation_lost.replace('{reason}', reason), work, {
      [messages.copy_answer]: () => this.#copyAnswer(),
      [messages.show_next]: () => this.page.goToJudge(),
    });
  }

  async #copyAnswer() {
    await navigator.clipboard.writeText(this.page.answer?.text ?? '');
    announce(this.page.messages.copied);
  }

  #confirmed({ entry, body }) {
    const { navigation, notices, work } = this.page;
    if (entry.kind === 'submit' && body.gold) notices.showGoldResult(body.gold, work);
    if (CLOSING_KINDS.has(entry.kind)) navigation.continue();
  }

  #refused({ entry, status, body }) {
    const { messages, notices, history, navigation, work } = this.page;
    const reason = body.error ?? String(status);
    const text = messages.refused.replace('{reason}', reason);
    const isOnScreen = entry.assignment === work.id || entry.kind === 'undo-submit';
    if (entry.kind === 'undo-submit') history.forget(entry.assignment); // none of its steps can be undone any more
    if (isOnScreen && status === 409) {
      navigation.stopWaiting();
      this.showLost(reason);
    } else {
      const url = entry.url.replace(/[^/]+\/$/, '');
      notices.showWarning(text, work, { [messages.show]: () => location.assign(url) });
    }
    announce(text);
  }

  /** Show what another tab did to the assignment on this screen. */
  #showOtherTab(entry) {
    const { answer, edits, messages, notices, work } = this.page;
    if (entry.assignment !== work.id) return;
    if (entry.kind === 'submit') {
      notices.showWarning(messages.submitted_elsewhere, work, { [messages.show_next]: () => this.page.goToJudge() });
    } else if (entry.kind === 'undo-submit') notices.hideWarning(work);
    else if (entry.kind === 'answer' && answer.isEditing) this.#offerOtherAnswer(entry.body);
    else edits.apply(entry);
    edits.highlightEvidence();
  }

  #offerOtherAnswer(body) {
    const { answer, messages, notices, work } = this.page;
    notices.showWarning(messages.changed_elsewhere, work, {
      [messages.show_that_version]: () => {
        answer.show(body);
        notices.hideWarning(work);
      },
    });
  }
}
