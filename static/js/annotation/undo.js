// Undo history: what the person did in this tab, as plain data, so that it survives a reload.

const MAX_STEPS = 500;

export class UndoHistory {
  #name;
  #steps;

  /** owner: the person's id. */
  constructor(owner) {
    this.#name = `tandem.undo.${owner}`;
    this.#steps = JSON.parse(sessionStorage.getItem(this.#name) ?? '[]');
  }

  get length() {
    return this.#steps.length;
  }

  /** Add a step {assignment, kind, …the values before it}. */
  push(step) {
    this.#steps = [...this.#steps, step].slice(-MAX_STEPS);
    this.#save();
  }

  /** Remove and return the newest step; undefined when there is none. */
  pop() {
    const step = this.#steps.at(-1);
    this.#steps = this.#steps.slice(0, -1);
    this.#save();
    return step;
  }

  /** Remove the steps of an assignment that belongs to somebody else now. */
  forget(assignment) {
    this.#steps = this.#steps.filter((step) => step.assignment !== assignment);
    this.#save();
  }

  #save() {
    sessionStorage.setItem(this.#name, JSON.stringify(this.#steps));
  }
}
