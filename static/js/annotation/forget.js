// On the sign-in page: nobody is signed in, so the copies of the questions of whoever was go. Acts that were never
// sent stay in the outbox, which is only ever sent for its owner.

import { forgetSent } from './outbox.js';

forgetSent();
if (globalThis.caches) {
  for (const name of await caches.keys()) {
    if (name.startsWith('tandem-judge.pages.')) await caches.delete(name);
  }
}
