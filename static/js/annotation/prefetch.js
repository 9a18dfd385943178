// The assignment after the one on screen: claimed and loaded ahead, so that Enter only has to show it.

import { fetchHtml, post } from '../http.js';

/** Return the #work element of an assignment's page, detached; null when it cannot be fetched. */
export async function fetchAssignment(url) {
  const html = await fetchHtml(url);
  if (html === null) return null;
  const template = document.createElement('template');
  template.innerHTML = html;
  return document.adoptNode(template.content).querySelector('#work');
}

export class NextAssignment {
  #element = null;
  #loading = null;

  /** claimUrl: a POST to it returns the URL of the next assignment; onReady(element): it is loaded. */
  constructor(claimUrl, onReady) {
    this.claimUrl = claimUrl;
    this.onReady = onReady;
    this.isQueueEmpty = false;
  }

  get url() {
    return this.#element?.dataset.url;
  }

  /** Claim and load the assignment after the one with this id; return whether there is one. */
  async prefetch(currentId) {
    if (this.#element) return true;
    this.#loading ??= this.#load(currentId).finally(() => (this.#loading = null));
    return this.#loading;
  }

  /** Return the element that is ready and hand it over; null when there is none. */
  take() {
    const element = this.#element;
    this.#element = null;
    return element;
  }

  /** Show this element next. */
  replace(element) {
    this.#element = element;
  }

  async #load(currentId) {
    const { status, body } = await post(this.claimUrl, { beside: currentId });
    this.isQueueEmpty = status === 409 || (status === 200 && !body.url);
    if (status !== 200 || !body.url) return false;
    const element = await fetchAssignment(body.url);
    this.#element ??= element;
    if (this.#element) this.onReady(this.#element);
    return this.#element !== null;
  }
}
