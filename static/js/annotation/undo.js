// What the person did in this tab, newest last: steps as plain data, so they outlive a reload.

const MOST = 500;

export class Journal {
  #name;
  #steps;

  constructor(owner) {
    this.#name = `tandem.undo.${owner}`;
    this.#steps = JSON.parse(sessionStorage.getItem(this.#name) ?? '[]');
  }

  get length() {
    return this.#steps.length;
  }

  /** step: {assignment, kind, …what it was before}. */
  push(step) {
    this.#steps = [...this.#steps, step].slice(-MOST);
    this.#keep();
  }

  /** The newest step, taken off. */
  pop() {
    const step = this.#steps.at(-1);
    this.#steps = this.#steps.slice(0, -1);
    this.#keep();
    return step;
  }

  /** Forget an assignment that was given away. */
  forget(assignment) {
    this.#steps = this.#steps.filter((step) => step.assignment !== assignment);
    this.#keep();
  }

  #keep() {
    sessionStorage.setItem(this.#name, JSON.stringify(this.#steps));
  }
}
