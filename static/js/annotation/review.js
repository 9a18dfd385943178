// The review page: moving and settling with keys, starting the answer from somebody's.

import { announce } from '../boot.js';
import { Keys } from './keys.js';

const page = document.getElementById('review');
let current = null;

function cards() {
  return [...page.querySelectorAll('.judged')].filter((card) => card.checkVisibility());
}

function attend(card) {
  current?.classList.remove('is-current');
  current = card;
  card.classList.add('is-current');
  card.focus({ preventScroll: true });
  card.scrollIntoView({ block: 'nearest' });
}

function move(step) {
  const all = cards();
  const to = all[all.indexOf(current) + step] ?? (current ? null : all[0]);
  if (to) attend(to);
}

function settle(grade) {
  const radio = current?.querySelector(`input[type=radio][value="${grade}"]`);
  if (!radio) return;
  radio.checked = true;
  announce(radio.parentElement.textContent.trim().replace(/\s+/g, ' '));
  move(1);
}

function fold(card) {
  const isOpen = card.classList.toggle('is-unfolded');
  card.querySelector('.fold-toggle').setAttribute('aria-expanded', String(isOpen));
}

page?.addEventListener('click', (event) => {
  const use = event.target.closest('[data-use]');
  if (use) {
    const area = document.getElementById('id_answer');
    area.value = use.closest('.answer-by').querySelector('blockquote').textContent;
    area.focus();
  }
  if (event.target.closest('[data-act=fold]')) fold(event.target.closest('.judged'));
});

if (page) {
  const keys = { next: 'j', previous: 'k', grade0: '0', grade1: '1', grade2: '2', grade3: '3', edit: 'e' };
  new Keys(keys, {
    next: () => move(1),
    previous: () => move(-1),
    grade0: () => settle(0),
    grade1: () => settle(1),
    grade2: () => settle(2),
    grade3: () => settle(3),
    edit: () => document.getElementById('id_answer')?.focus(),
    leave: () => current?.focus(),
  });
  const first = cards()[0];
  if (first) attend(first);
}
