// What the page says in writing: the save state, a claim that is gone, what is still missing, selected words.

import { announce } from '../boot.js';

const QUIET_SECONDS = 4;

export class Notices {
  #state = 'saved';
  #timer = 0;

  /** signIn: address of the sign-in page, opened beside this one when the session is over. */
  constructor(words, signIn) {
    this.words = words;
    this.signIn = signIn;
    this.selection = document.getElementById('selection');
  }

  /** Saved, saving or offline, in its place of the foot; spoken only when the connection goes or comes. */
  saveState({ state, waiting }, work) {
    const place = work?.find('#save-state');
    const text = this.words[state].replace('{count}', waiting);
    if (place) {
      place.dataset.state = state;
      place.textContent = text;
    }
    const isAway = (s) => s === 'offline' || s === 'signed-out';
    if (isAway(state) !== isAway(this.#state)) announce(text);
    if (state === 'signed-out' && this.#state !== state) {
      this.lost(text, work, { [this.words.sign_in]: () => open(this.signIn, '_blank') });
    } else if (this.#state === 'signed-out' && state === 'saved') this.lost(null, work);
    this.#state = state;
  }

  /** One sentence in the foot for a while, and to a screen reader. */
  say(text, work) {
    const place = work.find('#said');
    announce(text);
    if (!place) return;
    place.textContent = text;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => (place.textContent = ''), QUIET_SECONDS * 1000);
  }

  /** The foot says that the next one is on its way; null: not any more. */
  waiting(text, work) {
    const place = work.find('#said');
    if (place) place.textContent = text ?? '';
    if (text) announce(text);
  }

  /** A notice above the passages that stays, with buttons; null takes it away. */
  lost(text, work, acts = {}) {
    const place = work.find('#lost');
    place.hidden = text === null;
    place.replaceChildren();
    if (text === null) return;
    place.append(Object.assign(document.createElement('span'), { textContent: text }));
    for (const [label, act] of Object.entries(acts)) {
      const button = Object.assign(document.createElement('button'), { type: 'button', textContent: label });
      button.className = 'button button-small';
      button.addEventListener('click', act);
      place.append(button);
    }
  }

  /** The way back to the question before, where its grades are compared. */
  last(before, work) {
    const link = work.find('#last');
    if (!link || !before) return;
    link.href = before.url;
    link.hidden = false;
  }

  gold({ known, right }, work) {
    this.say(this.words.gold.replace('{right}', right).replace('{known}', known), work);
  }

  /** A small bar under the words that are selected in a passage. */
  offerSelection(found) {
    this.selection.hidden = !found;
    if (!found) return;
    const { rect } = found;
    this.selection.style.left = `${Math.max(8, Math.min(rect.left, innerWidth - this.selection.offsetWidth - 8))}px`;
    this.selection.style.top = `${Math.min(rect.bottom + 8, innerHeight - this.selection.offsetHeight - 72)}px`;
  }
}
