/* The line at the top: a title and Enter make a task. */

import { createTask } from "./api.js";
import { clearProblem, showProblem } from "./form_errors.js";

/** `onAdded` is given each answer; `onDetails` what is typed so far, to go on with in the dialog. */
export class AddForm {
  #form = document.querySelector("#add");
  #title = this.#form.elements.title;
  #tags = [];
  #adding = Promise.resolve(); // one after the other, so that tasks stand in the order they were typed
  #onAdded;

  constructor({ onAdded, onDetails }) {
    this.#onAdded = onAdded;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#form.querySelector("#add-details").addEventListener("click", () => {
      clearProblem(this.#form);
      onDetails(this.#draft());
    });
  }

  /** Give new tasks the tag that is being looked at, or none. */
  setTag(tag) {
    this.#tags = tag ? [tag] : [];
    this.#title.placeholder = tag ? `Add to #${tag}` : "What needs doing?";
  }

  clear() {
    this.#form.reset();
  }

  #draft() {
    return { title: this.#title.value.trim(), tags: this.#tags };
  }

  #submit() {
    const draft = this.#draft();
    if (!draft.title && this.#form.ariaBusy === "true") return; // Enter was pressed twice
    clearProblem(this.#form);
    this.clear();
    this.#adding = this.#adding.then(() => this.#add(draft));
  }

  /** The input is free for the next title at once; a title that could not be added comes back to it. */
  async #add(draft) {
    this.#form.ariaBusy = "true";
    try {
      this.#onAdded(await createTask(draft));
    } catch (problem) {
      this.#title.value = [draft.title, this.#title.value].filter(Boolean).join(" ");
      showProblem(this.#form, problem);
    } finally {
      this.#form.ariaBusy = "false";
    }
  }
}
