// Marking: words of a passage as evidence, and passages as the sources of sentences.

import { announce } from '../boot.js';
import { Picker, paint, selected, toggled } from './evidence.js';

export class Marking {
  #picker = null;

  constructor(desk) {
    this.desk = desk;
  }

  /** True while the person goes through a passage sentence by sentence. */
  get isPicking() {
    return this.#picker !== null;
  }

  /** The selected words as evidence, or not any more; with nothing selected, sentence by sentence. */
  mark() {
    if (!this.desk.work.isOpen) return;
    const found = selected() ?? (this.#picker ? { card: this.#picker.card, span: this.#picker.span } : null);
    if (!found) {
      this.#pick();
      return;
    }
    const before = this.desk.work.evidenceOf(found.card);
    this.desk.push('evidence', { passage: Number(found.card.dataset.passage), spans: before });
    const spans = toggled(before, found.span);
    this.desk.setEvidence(found.card, spans);
    document.getSelection().removeAllRanges();
    const waits = found.card.dataset.grade === '';
    announce(this.desk.words[spans.length < before.length ? 'evidence_gone' : waits ? 'evidence_waits' : 'evidence']);
  }

  /** The passage, or its selected words, as the source of the chosen sentence. */
  cite() {
    const found = selected();
    const card = found?.card ?? this.desk.work.current;
    if (!card || !this.desk.answer) return;
    if (found) {
      const spans = this.desk.work.evidenceOf(card);
      if (!spans.some(([a, b]) => a <= found.span[0] && found.span[1] <= b)) this.mark();
    }
    const isLinked = this.desk.answer.cite(Number(card.dataset.passage), found?.span ?? null);
    this.desk.answer.showPanel('sources');
    const said = isLinked === null ? this.desk.words.no_sentence : this.desk.words[isLinked ? 'cited' : 'uncited'];
    announce(said.replace('{position}', card.dataset.position));
    document.getSelection().removeAllRanges();
  }

  /** Take one span of a card's evidence away. */
  remove(card, index) {
    const before = this.desk.work.evidenceOf(card);
    this.desk.push('evidence', { passage: Number(card.dataset.passage), spans: before });
    this.desk.setEvidence(card, before.filter((_, at) => at !== index));
  }

  movePicked(step) {
    this.#picker.move(step);
    this.#showPicked();
  }

  endPicking() {
    if (this.#picker) {
      paint('picked', []);
      delete this.#picker.card.dataset.hint;
    }
    this.#picker = null;
  }

  #pick() {
    const card = this.desk.work.current;
    if (!card) {
      announce(this.desk.words.select_first);
      return;
    }
    this.#picker = new Picker(card);
    card.classList.add('is-unfolded');
    this.#showPicked();
  }

  #showPicked() {
    paint('picked', [[this.#picker.card, [this.#picker.span]]]);
    this.#picker.card.dataset.hint = this.desk.words.picking;
    announce(this.#picker.words);
  }
}
