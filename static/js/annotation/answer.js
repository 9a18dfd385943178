// The answer: edited in place, compared with the draft while the person types, its sentences linked to passages.

import { post } from '../http.js';
import { diff } from '../text/diff.js';
import { moveCitations, moveSpans, sentenceSpans, toCodePoints } from '../text/spans.js';
import { listSpans } from './evidence.js';

const PANELS = ['changes', 'sources', 'preview'];

export class AnswerEditor {
  #before = null;
  #text;

  /** messages: texts of the page; onChange(): save the answer; onEdited(before): an edit ended, undo returns to before. */
  constructor(work, messages, { onChange, onEdited }) {
    this.work = work;
    this.messages = messages;
    this.onChange = onChange;
    this.onEdited = onEdited;
    this.pane = work.find('.answer-pane');
    this.area = work.find('#answer-text');
    this.draft = work.find('#draft').content.textContent;
    this.citations = JSON.parse(this.pane.dataset.citations);
    this.unsupported = JSON.parse(this.pane.dataset.unsupported);
    this.chosen = 0;
    this.#text = this.area.value;
    this.area.addEventListener('input', () => this.#handleInput());
    this.area.addEventListener('focus', () => this.#startEdit());
    this.area.addEventListener('blur', () => this.#endEdit());
    this.pane.addEventListener('click', (event) => this.#handleClick(event));
    this.render();
  }

  get text() {
    return this.area.value;
  }

  get language() {
    return this.area.lang;
  }

  get isEditing() {
    return document.activeElement === this.area;
  }

  /** The answer as the server takes it. */
  get value() {
    return { text: this.text, citations: this.citations, unsupported: this.unsupported };
  }

  /** Show another value: after an undo, or from another tab. */
  show({ text, citations, unsupported }) {
    this.area.value = text;
    this.#text = text;
    this.citations = citations ?? this.citations;
    this.unsupported = unsupported ?? this.unsupported;
    this.render();
  }

  edit() {
    this.area.focus();
    this.area.setSelectionRange(this.text.length, this.text.length);
  }

  get sentences() {
    return sentenceSpans(this.text, this.language).map(([start, end]) => this.text.slice(start, end));
  }

  /** Cite a passage for the chosen sentence, or remove the citation. Return whether it is cited; null: no sentence. */
  cite(passage, evidence = null) {
    const sentence = this.sentences[this.chosen];
    if (!sentence) return null;
    const isSame = (c) => c.sentence === sentence && c.passage === passage && `${c.evidence ?? ''}` === `${evidence ?? ''}`;
    const before = structuredClone(this.value);
    const isCited = this.citations.some(isSame);
    const citation = evidence ? { sentence, passage, evidence } : { sentence, passage };
    this.citations = isCited ? this.citations.filter((c) => !isSame(c)) : [...this.citations, citation];
    this.#changed(before);
    return !isCited;
  }

  /** Mark the selected words of the answer as unsupported; false when nothing is selected. */
  markUnsupported() {
    const { selectionStart: start, selectionEnd: end } = this.area;
    if (start === end) return false;
    const before = structuredClone(this.value);
    const span = [toCodePoints(this.text, start), toCodePoints(this.text, end)];
    this.unsupported = [...this.unsupported.filter(([a, b]) => b <= span[0] || span[1] <= a), span].sort(([a], [b]) => a - b);
    this.#changed(before);
    return true;
  }

  /** Show one of the panels below the answer; without a name, the next one. */
  showPanel(name) {
    const buttons = [...this.pane.querySelectorAll('[data-panel]')];
    const current = buttons.find((button) => button.getAttribute('aria-pressed') === 'true').dataset.panel;
    const next = name ?? PANELS[(PANELS.indexOf(current) + 1) % PANELS.length];
    for (const button of buttons) button.setAttribute('aria-pressed', String(button.dataset.panel === next));
    for (const panel of PANELS) this.work.find(`#panel-${panel}`).hidden = panel !== next;
    if (next === 'preview') this.#preview();
  }

  render() {
    this.#renderDiff();
    this.#renderSentences();
    listSpans(this.work.find('#unsupported'), this.unsupported, this.text, this.messages.remove);
  }

  #handleInput() {
    const [before, after] = [this.#text, this.text];
    this.citations = moveCitations(this.citations, before, after, this.language);
    this.unsupported = moveSpans(this.unsupported, before, after);
    this.#text = after;
    this.render();
    this.onChange();
  }

  #startEdit() {
    this.#before = structuredClone(this.value);
    this.work.activeTime.switchTo(`${this.work.id}.answer`);
  }

  #endEdit() {
    if (this.#before && this.#before.text !== this.text) this.onEdited(this.#before);
    this.#before = null;
  }

  #changed(before) {
    this.render();
    this.onEdited(before);
    this.onChange();
  }

  #handleClick(event) {
    const { target } = event;
    const panel = target.closest('[data-panel]');
    if (panel) this.showPanel(panel.dataset.panel);
    const sentence = target.closest('[data-sentence]');
    if (sentence) {
      this.chosen = Number(sentence.dataset.sentence);
      this.#renderSentences();
      this.work.find(`[data-sentence="${this.chosen}"]`).focus();
    }
    const uncite = target.closest('[data-uncite]');
    const remove = target.closest('#unsupported [data-remove]');
    if (!uncite && !remove) return;
    const before = structuredClone(this.value);
    if (uncite) this.citations = this.citations.filter((_, index) => index !== Number(uncite.dataset.uncite));
    if (remove) this.unsupported = this.unsupported.filter((_, index) => index !== Number(remove.dataset.remove));
    this.#changed(before);
  }

  #renderDiff() {
    const isUnchanged = this.draft === '' || this.text === this.draft; // without a draft there is nothing to compare
    const changes = this.work.find('[data-diff]');
    this.work.find('[data-unchanged]').hidden = !isUnchanged;
    changes.hidden = isUnchanged;
    if (isUnchanged) return;
    changes.replaceChildren(...diff(this.draft, this.text).map(([kind, text]) => {
      if (kind === 'same') return document.createTextNode(text);
      return Object.assign(document.createElement(kind), { textContent: text });
    }));
  }

  #renderSentences() {
    const { sentences } = this;
    this.chosen = Math.max(0, Math.min(this.chosen, sentences.length - 1));
    this.work.find('#sentences').replaceChildren(...sentences.map((text, index) => this.#sentenceItem(text, index)));
  }

  #sentenceItem(text, index) {
    const item = document.createElement('li');
    const choose = document.createElement('button');
    choose.type = 'button';
    choose.className = 'sentence';
    choose.dataset.sentence = String(index);
    choose.setAttribute('aria-pressed', String(index === this.chosen));
    choose.lang = this.language;
    choose.textContent = text;
    item.append(choose);
    this.citations.forEach((citation, place) => {
      if (citation.sentence === text) item.append(this.#citationButton(citation, place));
    });
    return item;
  }

  #citationButton(citation, place) {
    const position = this.work.card(citation.passage)?.dataset.position ?? '?';
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'citation';
    button.dataset.uncite = String(place);
    button.textContent = `${position}${citation.evidence ? ' “…”' : ''} ×`;
    button.setAttribute('aria-label', `${this.messages.remove}: ${this.messages.cite} ${position}`);
    return button;
  }

  async #preview() {
    const panel = this.work.find('#panel-preview');
    const { status, body } = await post(panel.dataset.url, { text: this.text });
    if (status === 200) panel.innerHTML = body.html;
    else panel.textContent = this.text;
  }
}

