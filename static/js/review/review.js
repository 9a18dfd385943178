// The review page: keys to move and to grade, and an annotator's answer as a start.

import { announce } from '../boot.js';
import { Keyboard } from '../keyboard.js';

const KEYS = { next: 'j', previous: 'k', grade0: '0', grade1: '1', grade2: '2', grade3: '3', edit: 'e' };

const page = document.getElementById('review');
let current = null;

function visibleCards() {
  return [...page.querySelectorAll('.passage-card')].filter((card) => card.checkVisibility());
}

function focusCard(card) {
  current?.classList.remove('is-current');
  current = card;
  card.classList.add('is-current');
  card.focus({ preventScroll: true });
  card.scrollIntoView({ block: 'nearest' });
}

function move(step) {
  const cards = visibleCards();
  const target = cards[cards.indexOf(current) + step] ?? (current ? null : cards[0]);
  if (target) focusCard(target);
}

function grade(value) {
  const radio = current?.querySelector(`input[type=radio][value="${value}"]`);
  if (!radio) return;
  radio.checked = true;
  announce(radio.parentElement.textContent.trim().replace(/\s+/g, ' '));
  move(1);
}

function toggleFold(card) {
  const isOpen = card.classList.toggle('is-unfolded');
  card.querySelector('.fold-toggle').setAttribute('aria-expanded', String(isOpen));
}

page?.addEventListener('click', (event) => {
  const useAnswer = event.target.closest('[data-use-answer]');
  if (useAnswer) {
    const area = document.getElementById('id_answer');
    area.value = useAnswer.closest('.answer-column').querySelector('blockquote').textContent;
    area.focus();
  }
  if (event.target.closest('[data-action=fold]')) toggleFold(event.target.closest('.passage-card'));
});

if (page) {
  const grades = ['0', '1', '2', '3'].map((value) => [`grade${value}`, () => grade(value)]);
  new Keyboard(KEYS, {
    ...Object.fromEntries(grades),
    next: () => move(1),
    previous: () => move(-1),
    edit: () => document.getElementById('id_answer')?.focus(),
    leave: () => current?.focus(),
  });
  const [first] = visibleCards();
  if (first) focusCard(first);
}
