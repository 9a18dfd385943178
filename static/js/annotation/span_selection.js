// Span selection: words of a passage as evidence, and passages as citations of sentences of the answer.

import { announce } from '../boot.js';
import { sentenceSpans, toCodePoints, toggleSpan } from '../text/spans.js';
import { highlight, selectedSpan } from './evidence.js';
import { proseOf } from './work.js';

/** The sentences of a passage, one after another, for those who select with keys. */
class SentencePicker {
  #text;
  #sentences;
  #index;

  constructor(card) {
    this.card = card;
    const prose = proseOf(card);
    this.#text = prose.textContent;
    const visibleFrom = prose.querySelector('.folded + .shown')?.previousSibling?.textContent.length ?? 0;
    this.#sentences = sentenceSpans(this.#text, prose.lang);
    this.#index = Math.max(0, this.#sentences.findIndex(([start]) => start >= visibleFrom));
  }

  get span() {
    const [start, end] = this.#sentences[this.#index];
    return [toCodePoints(this.#text, start), toCodePoints(this.#text, end)];
  }

  get sentence() {
    const [start, end] = this.#sentences[this.#index];
    return this.#text.slice(start, end);
  }

  move(step) {
    this.#index = Math.min(this.#sentences.length - 1, Math.max(0, this.#index + step));
  }
}

export class SpanSelection {
  #picker = null;

  /** page: the JudgePage. */
  constructor(page) {
    this.page = page;
  }

  /** Whether the person goes through a passage sentence by sentence. */
  get isPicking() {
    return this.#picker !== null;
  }

  /** Mark the selected words as evidence, or unmark them; with nothing selected, pick sentence by sentence. */
  mark() {
    const { work, messages, edits } = this.page;
    if (!work.isOpen) return;
    const selection = selectedSpan() ?? (this.#picker ? { card: this.#picker.card, span: this.#picker.span } : null);
    if (!selection) {
      this.#startPicking();
      return;
    }
    const { card, span } = selection;
    const before = work.evidenceOf(card);
    const spans = toggleSpan(before, span);
    edits.changeEvidence(card, spans);
    document.getSelection().removeAllRanges();
    const isUnsaved = card.dataset.grade === '';
    announce(messages[spans.length < before.length ? 'evidence_gone' : isUnsaved ? 'evidence_waits' : 'evidence']);
  }

  /** Cite the passage, or its selected words, for the chosen sentence of the answer. */
  cite() {
    const { work, answer, messages } = this.page;
    const selection = selectedSpan();
    const card = selection?.card ?? work.current;
    if (!card || !answer) return;
    if (selection) {
      const [start, end] = selection.span;
      if (!work.evidenceOf(card).some(([a, b]) => a <= start && end <= b)) this.mark();
    }
    const isCited = answer.cite(Number(card.dataset.passage), selection?.span ?? null);
    answer.showPanel('sources');
    const text = isCited === null ? messages.no_sentence : messages[isCited ? 'cited' : 'uncited'];
    announce(text.replace('{position}', card.dataset.position));
    document.getSelection().removeAllRanges();
  }

  /** Remove one span of a card's evidence. */
  remove(card, index) {
    this.page.edits.changeEvidence(card, this.page.work.evidenceOf(card).filter((_, place) => place !== index));
  }

  pickNext(step) {
    this.#picker.move(step);
    this.#showSentence();
  }

  stopPicking() {
    if (this.#picker) {
      highlight('current-sentence', []);
      delete this.#picker.card.dataset.hint;
    }
    this.#picker = null;
  }

  #startPicking() {
    const card = this.page.work.current;
    if (!card) {
      announce(this.page.messages.select_first);
      return;
    }
    this.#picker = new SentencePicker(card);
    card.classList.add('is-unfolded');
    this.#showSentence();
  }

  #showSentence() {
    highlight('current-sentence', [[this.#picker.card, [this.#picker.span]]]);
    this.#picker.card.dataset.hint = this.page.messages.picking;
    announce(this.#picker.sentence);
  }
}
