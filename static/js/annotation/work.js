// One assignment on screen: its cards, which of them is current, and what each was graded.

/** The judged text of a card, character by character. */
export function proseOf(card) {
  return card.querySelector('.prose');
}

export class Work {
  current = null;

  /** element: #work; timer: whose passage the seconds belong to. */
  constructor(element, timer) {
    this.element = element;
    this.timer = timer;
    this.id = Number(element.dataset.assignment);
    this.url = element.dataset.url;
    this.isOpen = element.querySelector('#answer-form') !== null;
    this.leaseSeconds = Number(element.dataset.lease);
  }

  get cards() {
    return [...this.element.querySelectorAll('.judged')];
  }

  get question() {
    return this.element.querySelector('#query').textContent;
  }

  get ungraded() {
    return this.cards.filter((card) => card.dataset.grade === '');
  }

  /** Cards with evidence. */
  get marked() {
    return this.cards.filter((card) => this.evidenceOf(card).length);
  }

  get isUnanswerable() {
    return this.element.dataset.unanswerable === '1';
  }

  find(selector) {
    return this.element.querySelector(selector);
  }

  card(passage) {
    return this.find(`[data-passage="${passage}"]`);
  }

  /** Make a card current and bring it into view; null: none of them. */
  attend(card, { focus = true, scroll = true } = {}) {
    for (const other of this.cards) {
      other.classList.toggle('is-current', other === card);
      other.tabIndex = other === card ? 0 : -1;
    }
    this.current = card;
    this.timer.attend(card ? `${this.id}.${card.dataset.passage}` : null);
    if (!card || !focus) return;
    card.focus({ preventScroll: true });
    if (scroll) card.scrollIntoView({ block: 'nearest' });
  }

  /** Tell the style sheet how much the question hides of what is scrolled below it. Lays out the page. */
  measureHead() {
    this.element.style.setProperty('--head', `${this.find('.work-head').offsetHeight}px`);
  }

  /** One card on or back. */
  move(step) {
    const cards = this.cards;
    const at = cards.indexOf(this.current);
    const to = at < 0 ? (step > 0 ? 0 : cards.length - 1) : at + step;
    if (cards[to]) this.attend(cards[to]);
  }

  /** The card after this one; past the last the first that is not graded; then none, and Enter submits. */
  moveOn() {
    const cards = this.cards;
    const next = cards[cards.indexOf(this.current) + 1] ?? this.ungraded[0] ?? null;
    this.attend(next);
    if (!next) this.find('[data-act="submit"]')?.focus();
    return next;
  }

  /** Seconds looked at the card since they were last taken. */
  takeSeconds(card) {
    return this.timer.take(`${this.id}.${card.dataset.passage}`);
  }

  showGrade(card, grade) {
    card.dataset.grade = grade;
    for (const button of card.querySelectorAll('.grade')) {
      button.setAttribute('aria-pressed', String(button.value === grade));
    }
    this.count();
  }

  /** What the chosen grade is called, with its number. */
  gradeLabel(grade) {
    const button = this.find(`.grade[value="${grade}"]`);
    return button ? button.textContent.trim().replace(/\s+/g, ' ') : '';
  }

  count() {
    const cards = this.cards;
    this.find('[data-graded]').textContent = cards.length - this.ungraded.length;
    this.find('[data-total]').textContent = cards.length;
  }

  evidenceOf(card) {
    return JSON.parse(card.dataset.evidence || '[]');
  }

  showUnanswerable(value) {
    this.element.dataset.unanswerable = value ? '1' : '';
    this.find('[data-act="unanswerable"]').setAttribute('aria-pressed', String(value));
  }

  get isFlagged() {
    return this.element.dataset.flagged === '1';
  }

  get flagComment() {
    return this.find('#flag-comment').value;
  }

  showFlag(isFlagged, comment) {
    this.element.dataset.flagged = isFlagged ? '1' : '';
    this.find('#flag > summary').classList.toggle('is-on', isFlagged);
    this.find('#flag-comment').value = comment;
  }

  /** What has to be graded before a submit is taken. */
  get missing() {
    return this.isUnanswerable || this.isFlagged ? [] : this.ungraded;
  }

  toggleFold(card = this.current) {
    const toggle = card?.querySelector('.fold-toggle');
    if (!toggle) return;
    const isOpen = card.classList.toggle('is-unfolded');
    toggle.setAttribute('aria-expanded', String(isOpen));
    if (!isOpen) card.scrollIntoView({ block: 'nearest' });
  }
}
