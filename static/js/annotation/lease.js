// A claim lasts as long as its holder works: it is renewed while there is activity, and expires without.

import { post } from '../http.js';

const MIN_INTERVAL = 5; // seconds

export class Lease {
  #timer = 0;

  /** activeTime: knows how long the person has been idle; onLost(reason): the claim is gone. */
  constructor(activeTime, onLost) {
    this.activeTime = activeTime;
    this.onLost = onLost;
  }

  /** Renew the claims of `urls()`, the one on screen first, every third of the lease. */
  renewRegularly(leaseSeconds, urls) {
    clearInterval(this.#timer);
    const interval = Math.max(MIN_INTERVAL, leaseSeconds / 3);
    this.#timer = setInterval(() => this.#renew(interval, urls()), interval * 1000);
  }

  async #renew(interval, [onScreen, ...others]) {
    if (this.activeTime.idleSeconds > interval || !navigator.onLine) return;
    const { status, body } = await post(`${onScreen}renew/`);
    if (status === 409) this.onLost(body.error ?? '');
    for (const url of others) await post(`${url}renew/`);
  }
}
