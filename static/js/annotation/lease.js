// A claim lasts as long as its holder works: signs of life while there is activity, silence when they leave.

import { post } from './outbox.js';

export class Lease {
  #timer = 0;

  /** timer: knows how long nothing has happened; onLost(reason): the claim is gone. */
  constructor(timer, onLost) {
    this.timer = timer;
    this.onLost = onLost;
  }

  /** Keep what `held()` lists, [url …] with the one on screen first; every third of the lease. */
  keep(leaseSeconds, held) {
    clearInterval(this.#timer);
    const every = Math.max(5, leaseSeconds / 3);
    this.#timer = setInterval(() => this.#beat(every, held()), every * 1000);
  }

  async #beat(every, urls) {
    if (this.timer.idle > every || !navigator.onLine) return;
    const [first, ...others] = urls;
    const { status, body } = await post(`${first}renew/`);
    if (status === 409) this.onLost(body.error ?? '');
    for (const url of others) await post(`${url}renew/`);
  }
}
