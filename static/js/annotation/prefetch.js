// The assignment after the one on screen: claimed and loaded ahead, so that Enter only has to show it.

import { post } from './outbox.js';

/** The #work of an assignment's page, detached; null when it cannot be had. */
export async function fetchWork(url) {
  try {
    const response = await fetch(url, { headers: { 'HX-Request': 'true' }, redirect: 'manual' });
    if (!response.ok) return null;
    const template = document.createElement('template');
    template.innerHTML = await response.text();
    return document.adoptNode(template.content).querySelector('#work');
  } catch (error) {
    if (error instanceof TypeError) return null;
    throw error;
  }
}

export class Next {
  #element = null;
  #loading = null;

  /** claimUrl: answers a POST with the address of what comes next; onReady(#work): it has been loaded. */
  constructor(claimUrl, onReady) {
    this.claimUrl = claimUrl;
    this.onReady = onReady;
    this.isEnd = false;
  }

  get url() {
    return this.#element?.dataset.url;
  }

  /** Have the one after `beside` ready; true when there is one. */
  async fill(beside) {
    if (this.#element) return true;
    this.#loading ??= this.#load(beside).finally(() => (this.#loading = null));
    return this.#loading;
  }

  /** What is ready, taken out; null when nothing is. */
  take() {
    const element = this.#element;
    this.#element = null;
    return element;
  }

  /** An element to show next instead. */
  putBack(element) {
    this.#element = element;
  }

  async #load(beside) {
    const { status, body } = await post(this.claimUrl, { beside });
    this.isEnd = status === 409 || (status === 200 && !body.url);
    if (status !== 200 || !body.url) return false;
    const element = await fetchWork(body.url);
    this.#element ??= element;
    if (this.#element) this.onReady(this.#element);
    return this.#element !== null;
  }
}
