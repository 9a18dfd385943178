// On the sign-in page nobody is signed in: the copies of the last person's assignments are deleted. Acts that were
// never sent stay in the outbox, which sends them only for their owner.

import { clearSent } from './outbox.js';

clearSent();
if (globalThis.caches) {
  for (const name of await caches.keys()) {
    if (name.startsWith('tandem-judge.pages.')) await caches.delete(name);
  }
}
