// The assignment on screen: its passage cards, which of them is current, and the grade of each.

/** Return the element with the text of a passage, without anything added to it. */
export function proseOf(card) {
  return card.querySelector('.prose');
}

export class Work {
  current = null;

  /** element: #work; activeTime: counts the seconds of the current passage. */
  constructor(element, activeTime) {
    this.element = element;
    this.activeTime = activeTime;
    this.id = Number(element.dataset.assignment);
    this.url = element.dataset.url;
    this.isOpen = element.querySelector('#answer-form') !== null;
    this.leaseSeconds = Number(element.dataset.leaseSeconds);
  }

  get cards() {
    return [...this.element.querySelectorAll('.passage-card')];
  }

  get query() {
    return this.element.querySelector('#query').textContent;
  }

  get ungradedCards() {
    return this.cards.filter((card) => card.dataset.grade === '');
  }

  get cardsWithEvidence() {
    return this.cards.filter((card) => this.evidenceOf(card).length);
  }

  get isUnanswerable() {
    return this.element.dataset.unanswerable === '1';
  }

  get isFlagged() {
    return this.element.dataset.flagged === '1';
  }

  /** Cards that need a grade before the submit. */
  get missingGrades() {
    return this.isUnanswerable || this.isFlagged ? [] : this.ungradedCards;
  }

  find(selector) {
    return this.element.querySelector(selector);
  }

  /** Return the card of a passage id; null when it is not among them. */
  card(passage) {
    return this.find(`[data-passage="${passage}"]`);
  }

  /** Make a card current and bring it into view; null: none of them. */
  focusCard(card, { focus = true, scroll = true } = {}) {
    for (const other of this.cards) {
      other.classList.toggle('is-current', other === card);
      other.tabIndex = other === card ? 0 : -1;
    }
    this.current = card;
    this.activeTime.switchTo(card ? `${this.id}.${card.dataset.passage}` : null);
    if (!card || !focus) return;
    card.focus({ preventScroll: true });
    if (scroll) card.scrollIntoView({ block: 'nearest' });
  }

  /** Tell the style sheet the height of the head, which covers what scrolls below it. Forces a layout. */
  measureHead() {
    this.element.style.setProperty('--head', `${this.find('.work-head').offsetHeight}px`);
  }

  /** Go to the next card (step 1) or the previous one (step −1). */
  move(step) {
    const { cards } = this;
    const place = cards.indexOf(this.current);
    const target = place < 0 ? (step > 0 ? 0 : cards.length - 1) : place + step;
    if (cards[target]) this.focusCard(cards[target]);
  }

  /** Go to the next card; after the last, to the first without a grade; then to the submit button. */
  moveAfterGrade() {
    const { cards } = this;
    const next = cards[cards.indexOf(this.current) + 1] ?? this.ungradedCards[0] ?? null;
    this.focusCard(next);
    if (!next) this.find('[data-action="submit"]')?.focus();
    return next;
  }

  /** Return the active seconds on the card since the last call. */
  takeSeconds(card) {
    return this.activeTime.take(`${this.id}.${card.dataset.passage}`);
  }

  showGrade(card, grade) {
    card.dataset.grade = grade;
    for (const button of card.querySelectorAll('.grade')) {
      button.setAttribute('aria-pressed', String(button.value === grade));
    }
    this.countGrades();
  }

  /** Return the number and the label of a grade. */
  gradeLabel(grade) {
    const button = this.find(`.grade[value="${grade}"]`);
    return button ? button.textContent.trim().replace(/\s+/g, ' ') : '';
  }

  countGrades() {
    const { cards } = this;
    this.find('[data-graded]').textContent = cards.length - this.ungradedCards.length;
    this.find('[data-total]').textContent = cards.length;
  }

  /** Return the spans of evidence of a card. */
  evidenceOf(card) {
    return JSON.parse(card.dataset.evidence || '[]');
  }

  showUnanswerable(value) {
    this.element.dataset.unanswerable = value ? '1' : '';
    this.find('[data-action="unanswerable"]').setAttribute('aria-pressed', String(value));
  }

  showFlag(isFlagged, comment) {
    this.element.dataset.flagged = isFlagged ? '1' : '';
    this.find('#flag > summary').classList.toggle('is-on', isFlagged);
    this.find('#flag-comment').value = comment;
  }

  /** Expand or collapse a long passage. */
  toggleFold(card = this.current) {
    const toggle = card?.querySelector('.fold-toggle');
    if (!toggle) return;
    const isOpen = card.classList.toggle('is-unfolded');
    toggle.setAttribute('aria-expanded', String(isOpen));
    if (!isOpen) card.scrollIntoView({ block: 'nearest' });
  }
}
