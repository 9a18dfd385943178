// Passage search: find a passage that is missing, and add it to those to grade.

import { fetchHtml, post } from '../http.js';
import { isComposing } from '../keyboard.js';

const PAUSE = 250; // ms without typing before a search

export class PassageSearch {
  #timer = 0;
  #latest = 0; // number of the latest search; results of earlier ones are dropped

  /** messages: texts of the page; onAdded(card): a passage was added. */
  constructor(dialog, messages, onAdded) {
    this.dialog = dialog;
    this.messages = messages;
    this.onAdded = onAdded;
    this.input = dialog.querySelector('input');
    this.hits = dialog.querySelector('#hits');
    this.#listen();
  }

  open(work) {
    this.work = work;
    this.dialog.showModal();
    this.input.select();
  }

  #listen() {
    this.input.addEventListener('input', (event) => {
      clearTimeout(this.#timer);
      if (!isComposing(event)) this.#timer = setTimeout(() => this.#search(), PAUSE);
    });
    this.input.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape' || isComposing(event)) return;
      event.preventDefault(); // a search field would only empty itself
      this.dialog.close();
    });
    this.input.addEventListener('compositionend', () => this.#search());
    this.dialog.querySelector('[role=search]').addEventListener('submit', async (event) => {
      event.preventDefault();
      await this.#search();
      this.hits.querySelector('button')?.focus();
    });
    this.hits.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#add(Number(new FormData(event.target).get('passage')));
    });
  }

  async #search() {
    clearTimeout(this.#timer);
    const search = (this.#latest += 1);
    const text = this.input.value.trim();
    if (!text) return this.hits.replaceChildren();
    this.hits.setAttribute('aria-busy', 'true');
    if (!this.hits.childElementCount) this.hits.textContent = this.messages.searching;
    const html = await fetchHtml(`${this.work.url}search/?${new URLSearchParams({ q: text })}`);
    if (search !== this.#latest) return undefined;
    this.hits.removeAttribute('aria-busy');
    if (html === null) this.hits.textContent = this.messages.search_offline;
    else this.hits.innerHTML = html;
    return undefined;
  }

  async #add(passage) {
    if (!this.work.card(passage)) {
      const { status, body } = await post(`${this.work.url}passages/`, { passage });
      if (status !== 200) {
        this.hits.prepend(Object.assign(document.createElement('p'), { textContent: body.error ?? '', role: 'alert' }));
        return;
      }
      const template = document.createElement('template');
      template.innerHTML = body.html;
      this.work.find('#cards').append(template.content);
      this.work.countGrades();
    }
    this.dialog.close();
    this.onAdded(this.work.card(passage));
  }
}
