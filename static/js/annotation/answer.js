// The answer: edited in place, compared with the draft as one types, its sentences linked to passages.

import { diff } from './diff.js';
import { fillList, sentencesOf, toPoints } from './evidence.js';
import { post } from './outbox.js';

const PANELS = ['changes', 'sources', 'preview'];

/** How many items two lists share at the start, and then at the end. */
function ends(before, after) {
  const least = Math.min(before.length, after.length);
  let head = 0;
  while (head < least && before[head] === after[head]) head += 1;
  let tail = 0;
  while (tail < least - head && before.at(-1 - tail) === after.at(-1 - tail)) tail += 1;
  return [head, tail];
}

export class Answer {
  #before = null;
  #text;

  /** work: the assignment; words: what the page says; onChange(): save it; onSession(before): editing ended. */
  constructor(work, words, { onChange, onSession }) {
    this.work = work;
    this.words = words;
    this.onChange = onChange;
    this.onSession = onSession;
    this.pane = work.find('.answer-pane');
    this.area = work.find('#answer-text');
    this.draft = work.find('#draft').content.textContent;
    this.citations = JSON.parse(this.pane.dataset.citations);
    this.unsupported = JSON.parse(this.pane.dataset.unsupported);
    this.chosen = 0;
    this.#text = this.area.value;
    this.area.addEventListener('input', () => this.#typed());
    this.area.addEventListener('focus', () => this.#enter());
    this.area.addEventListener('blur', () => this.#leave());
    this.pane.addEventListener('click', (event) => this.#click(event));
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

  /** Everything there is to save, as the server wants it. */
  get value() {
    return { text: this.text, citations: this.citations, unsupported: this.unsupported };
  }

  /** Show another value: an undo, or what another tab wrote. */
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
    return sentencesOf(this.text, this.language).map(([start, end]) => this.text.slice(start, end));
  }

  /** Link the chosen sentence to a passage, or take the link away; null when there is no sentence. */
  cite(passage, evidence = null) {
    const sentence = this.sentences[this.chosen];
    if (!sentence) return null;
    const isSame = (c) => c.sentence === sentence && c.passage === passage && `${c.evidence ?? ''}` === `${evidence ?? ''}`;
    const before = structuredClone(this.value);
    const isLinked = this.citations.some(isSame);
    const link = evidence ? { sentence, passage, evidence } : { sentence, passage };
    this.citations = isLinked ? this.citations.filter((c) => !isSame(c)) : [...this.citations, link];
    this.#changed(before);
    return !isLinked;
  }

  /** Mark the selected words of the answer as supported by no passage. */
  markUnsupported() {
    const { selectionStart: start, selectionEnd: end } = this.area;
    if (start === end) return false;
    const before = structuredClone(this.value);
    const span = [toPoints(this.text, start), toPoints(this.text, end)];
    this.unsupported = [...this.unsupported.filter(([a, b]) => b <= span[0] || span[1] <= a), span].sort(([a], [b]) => a - b);
    this.#changed(before);
    return true;
  }

  /** Show one of the panels below the answer; without a name, the next. */
  showPanel(name) {
    const buttons = [...this.pane.querySelectorAll('[data-panel]')];
    const now = buttons.find((button) => button.getAttribute('aria-pressed') === 'true').dataset.panel;
    const wanted = name ?? PANELS[(PANELS.indexOf(now) + 1) % PANELS.length];
    for (const button of buttons) button.setAttribute('aria-pressed', String(button.dataset.panel === wanted));
    for (const panel of PANELS) this.work.find(`#panel-${panel}`).hidden = panel !== wanted;
    if (wanted === 'preview') this.#preview();
  }

  render() {
    this.#renderDiff();
    this.#renderSentences();
    const list = this.work.find('#unsupported');
    fillList(list, this.unsupported, [...this.text], this.words.remove);
  }

  #typed() {
    const before = this.#text;
    this.#follow(before, this.text);
    this.#text = this.text;
    this.render();
    this.onChange();
  }

  /** Citations and spans move along with what was typed. */
  #follow(before, after) {
    const language = this.language;
    const cut = (text) => sentencesOf(text, language).map(([a, b]) => text.slice(a, b));
    const [old, now] = [cut(before), cut(after)];
    const [head, tail] = ends(old, now);
    const [oldMiddle, newMiddle] = [old.slice(head, old.length - tail), now.slice(head, now.length - tail)];
    this.citations = this.citations.flatMap((citation) => {
      const at = oldMiddle.indexOf(citation.sentence);
      if (at < 0 || now.includes(citation.sentence)) return [citation];
      const sentence = newMiddle[Math.min(at, newMiddle.length - 1)];
      return sentence ? [{ ...citation, sentence }] : [];
    });
    const [a, b] = [[...before], [...after]];
    const [same, rest] = ends(a, b);
    const grown = b.length - a.length;
    this.unsupported = this.unsupported
      .map(([start, end]) => [start >= a.length - rest ? start + grown : Math.min(start, b.length - rest),
        end > same ? Math.max(end + grown, same) : end])
      .filter(([start, end]) => start < end);
  }

  #enter() {
    this.#before = structuredClone(this.value);
    this.work.timer.attend(`${this.work.id}.answer`);
  }

  #leave() {
    if (this.#before && this.#before.text !== this.text) this.onSession(this.#before);
    this.#before = null;
  }

  #changed(before) {
    this.render();
    this.onSession(before);
    this.onChange();
  }

  #click(event) {
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
    const isSame = this.draft === '' || this.text === this.draft; // without a draft there is nothing to compare
    const out = this.work.find('[data-diff]');
    this.work.find('[data-same]').hidden = !isSame;
    out.hidden = isSame;
    if (isSame) return;
    out.replaceChildren(...diff(this.draft, this.text).map(([kind, text]) => {
      if (kind === 'same') return document.createTextNode(text);
      return Object.assign(document.createElement(kind), { textContent: text });
    }));
  }

  #renderSentences() {
    const sentences = this.sentences;
    this.chosen = Math.max(0, Math.min(this.chosen, sentences.length - 1));
    this.work.find('#sentences').replaceChildren(...sentences.map((text, index) => this.#sentence(text, index)));
  }

  #sentence(text, index) {
    const item = document.createElement('li');
    const choose = document.createElement('button');
    choose.type = 'button';
    choose.className = 'sentence';
    choose.dataset.sentence = String(index);
    choose.setAttribute('aria-pressed', String(index === this.chosen));
    choose.lang = this.language;
    choose.textContent = text;
    item.append(choose);
    this.citations.forEach((citation, at) => {
      if (citation.sentence === text) item.append(this.#link(citation, at));
    });
    return item;
  }

  #link(citation, at) {
    const position = this.work.card(citation.passage)?.dataset.position ?? '?';
    const link = document.createElement('button');
    link.type = 'button';
    link.className = 'citation';
    link.dataset.uncite = String(at);
    link.textContent = `${position}${citation.evidence ? ' “…”' : ''} ×`;
    link.setAttribute('aria-label', `${this.words.remove}: ${this.words.cite} ${position}`);
    return link;
  }

  async #preview() {
    const panel = this.work.find('#panel-preview');
    const { status, body } = await post(panel.dataset.url, { text: this.text });
    if (status === 200) panel.innerHTML = body.html;
    else panel.textContent = this.text;
  }
}

