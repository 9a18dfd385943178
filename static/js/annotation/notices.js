// Notices: the save state, warnings, short messages in the foot, and the toolbar of selected words.

import { announce } from '../boot.js';

const SHOW_SECONDS = 4;

export class Notices {
  #state = 'saved';
  #timer = 0;

  /** messages: texts of the page; signInUrl: opened in another tab when the session has ended. */
  constructor(messages, signInUrl) {
    this.messages = messages;
    this.signInUrl = signInUrl;
    this.toolbar = document.getElementById('selection-toolbar');
  }

  /** Show saved, saving, offline or signed out in the foot; announced only when the connection is lost or back. */
  showSaveState({ state, waiting }, work) {
    const place = work?.find('#save-state');
    const text = this.messages[state].replace('{count}', waiting);
    if (place) {
      place.dataset.state = state;
      place.textContent = text;
    }
    const isAway = (value) => value === 'offline' || value === 'signed-out';
    if (isAway(state) !== isAway(this.#state)) announce(text);
    if (state === 'signed-out' && this.#state !== state) {
      this.showWarning(text, work, { [this.messages.sign_in]: () => open(this.signInUrl, '_blank') });
    } else if (this.#state === 'signed-out' && state === 'saved') this.hideWarning(work);
    this.#state = state;
  }

  /** Show one sentence in the foot for some seconds, and announce it. */
  showBriefly(text, work) {
    const place = work.find('#status-message');
    announce(text);
    if (!place) return;
    place.textContent = text;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => (place.textContent = ''), SHOW_SECONDS * 1000);
  }

  /** Show in the foot that the next assignment is loading; null: no longer. */
  showLoading(text, work) {
    const place = work.find('#status-message');
    if (place) place.textContent = text ?? '';
    if (text) announce(text);
  }

  /** Show a notice above the passages with buttons, label → function; it stays. */
  showWarning(text, work, actions = {}) {
    const place = work.find('#work-notice');
    place.hidden = false;
    place.replaceChildren(Object.assign(document.createElement('span'), { textContent: text }));
    for (const [label, action] of Object.entries(actions)) {
      const button = Object.assign(document.createElement('button'), { type: 'button', textContent: label });
      button.className = 'button button-small';
      button.addEventListener('click', action);
      place.append(button);
    }
  }

  hideWarning(work) {
    const place = work.find('#work-notice');
    place.hidden = true;
    place.replaceChildren();
  }

  /** Show the link to the assignment before, where the grades of others are shown. */
  showPreviousLink(previous, work) {
    const link = work.find('#previous-query');
    if (!link || !previous) return;
    link.href = previous.url;
    link.hidden = false;
  }

  showGoldResult({ known, right }, work) {
    this.showBriefly(this.messages.gold.replace('{right}', right).replace('{known}', known), work);
  }

  /** Show the toolbar below the selected words of a passage; null hides it. */
  placeToolbar(selection) {
    this.toolbar.hidden = !selection;
    if (!selection) return;
    const { rect } = selection;
    this.toolbar.style.left = `${Math.max(8, Math.min(rect.left, innerWidth - this.toolbar.offsetWidth - 8))}px`;
    this.toolbar.style.top = `${Math.min(rect.bottom + 8, innerHeight - this.toolbar.offsetHeight - 72)}px`;
  }
}
