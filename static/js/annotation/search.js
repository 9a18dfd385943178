// The corpus, searched for a passage that is missing.

import { isComposing } from './keys.js';
import { post } from './outbox.js';

const PAUSE = 250;

export class Search {
  #timer = 0;
  #asked = 0;

  /** words: what the page says; onAdd(cardElement): a passage was added. */
  constructor(dialog, words, onAdd) {
    this.dialog = dialog;
    this.words = words;
    this.onAdd = onAdd;
    this.input = dialog.querySelector('input');
    this.hits = dialog.querySelector('#hits');
    this.input.addEventListener('input', (event) => {
      clearTimeout(this.#timer);
      if (!isComposing(event)) this.#timer = setTimeout(() => this.#find(), PAUSE);
    });
    this.input.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape' || isComposing(event)) return;
      event.preventDefault(); // a search field would only empty itself
      dialog.close();
    });
    this.input.addEventListener('compositionend', () => this.#find());
    dialog.querySelector('[role=search]').addEventListener('submit', async (event) => {
      event.preventDefault();
      await this.#find();
      this.hits.querySelector('button')?.focus();
    });
    this.hits.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#add(Number(new FormData(event.target).get('passage')));
    });
  }

  open(work) {
    this.work = work;
    this.dialog.showModal();
    this.input.select();
  }

  async #find() {
    clearTimeout(this.#timer);
    const asked = (this.#asked += 1);
    const text = this.input.value.trim();
    if (!text) return this.hits.replaceChildren();
    this.hits.setAttribute('aria-busy', 'true');
    if (!this.hits.childElementCount) this.hits.textContent = this.words.searching;
    const html = await this.#load(`${this.work.url}search/?${new URLSearchParams({ q: text })}`);
    if (asked !== this.#asked) return undefined; // a newer question is on its way
    this.hits.removeAttribute('aria-busy');
    if (html === null) this.hits.textContent = this.words.search_offline;
    else this.hits.innerHTML = html;
    return undefined;
  }

  async #load(url) {
    try {
      const response = await fetch(url, { headers: { 'HX-Request': 'true' }, redirect: 'manual' });
      return response.ok ? await response.text() : null;
    } catch (error) {
      if (error instanceof TypeError) return null;
      throw error;
    }
  }

  async #add(passage) {
    const known = this.work.card(passage);
    if (!known) {
      const { status, body } = await post(`${this.work.url}passages/`, { passage });
      if (status !== 200) {
        this.hits.prepend(Object.assign(document.createElement('p'), { textContent: body.error ?? '', role: 'alert' }));
        return;
      }
      const template = document.createElement('template');
      template.innerHTML = body.html;
      this.work.find('#cards').append(template.content);
      this.work.count();
    }
    this.dialog.close();
    this.onAdd(this.work.card(passage));
  }
}
