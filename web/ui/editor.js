/* The dialog with all of a task's fields, for a new task and for a change of one. */

import { createTask, getTask, updateTask } from "./api.js";
import { ask } from "./confirm.js";
import { dayName, endOfLocalDay, localDay } from "./dates.js";
import { clearProblem, showProblem } from "./form_errors.js";
import { PRIORITIES } from "./rows.js";
import { TagInput } from "./tag_input.js";

const BLANK = { title: "", description: "", priority: 0, due_at: null, tags: [] };
const FIELDS = {
  title: { label: "Title", text: (title) => title },
  description: { label: "Description", text: (description) => description || "empty" },
  priority: { label: "Priority", text: (priority) => PRIORITIES[priority] },
  due_at: { label: "Due date", text: (due) => (due ? dayName(due) : "none") },
  tags: { label: "Tags", text: (tags) => tags.join(", ") || "none" },
};
const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

/** `onSaved` is given each change's answer and whether it made a new task. */
export class Editor {
  #dialog = document.querySelector("#editor");
  #form = this.#dialog.querySelector("form");
  #conflict = this.#dialog.querySelector(".conflict");
  #tags = new TagInput(document.querySelector("#edit-tag-input"));
  #base = BLANK; // the task as it was when the person began; what differs from it was typed here
  #onSaved;

  constructor(onSaved) {
    this.#onSaved = onSaved;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#save();
    });
    this.#dialog.querySelector("[data-close]").addEventListener("click", () => this.#busy || this.#dialog.close());
    this.#dialog.addEventListener("cancel", (event) => {
      if (same(this.#typed(), {})) return;
      event.preventDefault();
      if (!this.#busy) this.#discard();
    });
  }

  /** Open on a task, or on the beginnings of a new one. */
  open(task) {
    clearProblem(this.#form);
    this.#conflict.replaceChildren();
    this.#setBase({ ...BLANK, ...task });
    this.#fill(this.#base);
    this.#dialog.showModal();
    this.#form.elements.title.focus();
  }

  /** Take another client's newer state of the task in hand, keeping what was typed. */
  rebase(id, task) {
    if (!this.#dialog.open || id !== this.#base.id || this.#busy || task?.version <= this.#base.version) return;
    if (!task) {
      this.#setBase(BLANK);
      this.#conflict.textContent = "Somebody else deleted this task meanwhile. Adding makes a new one of what is written here.";
      return;
    }
    const typed = this.#typed();
    const changed = Object.keys(FIELDS).filter((name) => !same(task[name], this.#base[name]));
    this.#setBase(task);
    this.#fill({ ...task, ...typed });
    this.#tell(changed, typed, task);
  }

  #tell(changed, typed, task) {
    const what = changed.some((name) => name in typed)
      ? "What you wrote is kept; saving puts it in place of theirs."
      : "Theirs is filled in; what you wrote is kept.";
    const words = document.createElement("p");
    words.textContent = `Somebody else changed this task meanwhile. ${changed.length ? what : `It is ${task.status} now.`}`;
    const list = document.createElement("dl");
    for (const name of changed) {
      const label = document.createElement("dt");
      label.textContent = FIELDS[name].label;
      const now = document.createElement("dd");
      now.textContent = FIELDS[name].text(task[name]);
      list.append(label, now);
    }
    this.#conflict.replaceChildren(words, list);
    this.#dialog.scrollTop = 0;
  }

  get #busy() {
    return this.#form.getAttribute("aria-busy") === "true";
  }

  #setBase(task) {
    this.#base = task;
    this.#dialog.querySelector("h2").textContent = task.id ? "Edit task" : "New task";
    this.#form.querySelector("[type=submit]").textContent = task.id ? "Save" : "Add";
  }

  #fill(values) {
    const { title, description, priority, due_at } = this.#form.elements;
    title.value = values.title;
    description.value = values.description;
    priority.value = values.priority;
    due_at.value = localDay(values.due_at);
    this.#tags.value = values.tags;
  }

  /** The fields that differ from the base; a due time stays exact while its day is not touched. */
  #typed(base = this.#base) {
    const { title, description, priority, due_at } = this.#form.elements;
    const values = {
      title: title.value,
      description: description.value,
      priority: Number(priority.value),
      due_at: due_at.value === localDay(base.due_at) ? base.due_at : endOfLocalDay(due_at.value),
      tags: this.#tags.value,
    };
    return Object.fromEntries(Object.entries(values).filter(([name, value]) => !same(value, base[name])));
  }

  async #save() {
    if (this.#busy) return;
    const isNew = !this.#base.id;
    const typed = this.#typed();
    if (!isNew && same(typed, {})) {
      this.#dialog.close();
      return;
    }
    this.#form.setAttribute("aria-busy", "true");
    try {
      const answer = isNew ? await createTask({ title: "", ...this.#typed(BLANK) }) : await updateTask(this.#base.id, this.#base.version, typed);
      this.#dialog.close();
      this.#onSaved(answer, isNew);
    } catch (problem) {
      await this.#failed(problem);
    } finally {
      this.#form.removeAttribute("aria-busy");
    }
  }

  async #failed(problem) {
    clearProblem(this.#form);
    const { id } = this.#base;
    this.#form.removeAttribute("aria-busy");
    if (!id || !(problem.status === 412 || problem.gone)) {
      showProblem(this.#form, problem);
      return;
    }
    try {
      this.rebase(id, problem.gone ? null : await getTask(id));
    } catch (second) {
      if (second.gone) this.rebase(id, null);
      else showProblem(this.#form, second);
    }
  }

  async #discard() {
    const yes = await ask({ heading: "Discard what you wrote?", text: "It is not saved yet.", action: "Discard" });
    if (yes) this.#dialog.close();
  }
}
