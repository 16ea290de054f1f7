/* The list on the screen: one row per task, moved and changed in place so that focus stays where it is. */

import { dayName, exactTime, localDay } from "./dates.js";
import { addressOf } from "./filters.js";

export const PRIORITIES = ["None", "Low", "Medium", "High"];
const FOCUSABLE = ["input", ".title", ".delete"];

export function fromTemplate(name) {
  return document.querySelector(`template#${name}`).content.firstElementChild.cloneNode(true);
}

/** Draws tasks; `on` has toggle, edit and remove (each given a task's id) and follow (given an address). */
export class Rows {
  #root;
  #rows = new Map();

  constructor(root, on) {
    this.#root = root;
    const idOf = (event) => event.target.closest(".task")?.dataset.id;
    root.addEventListener("change", (event) => on.toggle(idOf(event)));
    root.addEventListener("click", (event) => {
      if (event.target.closest(".title")) on.edit(idOf(event));
      else if (event.target.closest(".delete")) on.remove(idOf(event));
      const link = event.target.closest("a");
      if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
        event.preventDefault();
        on.follow(link.getAttribute("href"));
      }
    });
    root.addEventListener("keydown", (event) => {
      if (event.key === "Delete" || event.key === "Backspace") on.remove(idOf(event));
      else if (event.key === "ArrowDown" || event.key === "ArrowUp") this.#move(event);
    });
  }

  /** Show these tasks in this order; `fresh` marks what changed after the first look. */
  render(tasks, filter, fresh) {
    const focused = this.#focused();
    const kept = new Set(tasks.map((task) => task.id));
    for (const [id, row] of this.#rows) {
      if (kept.has(id)) continue;
      row.remove();
      this.#rows.delete(id);
    }
    tasks.forEach((task, index) => {
      const row = this.#row(task, filter, fresh);
      if (this.#root.children[index] !== row) this.#root.insertBefore(row, this.#root.children[index] ?? null);
    });
    if (focused && !focused.element.isConnected) this.#focus(focused.index, focused.part);
  }

  /** Say that a row's change is under way. */
  busy(id, busy) {
    this.#rows.get(id)?.setAttribute("aria-busy", String(busy));
  }

  focusTask(id) {
    this.#rows.get(id)?.querySelector(".title").focus();
  }

  #row(task, filter, fresh) {
    const known = this.#rows.get(task.id);
    const row = known ?? fromTemplate("row");
    this.#rows.set(task.id, row);
    const drawn = `${task.version} ${addressOf(filter)} ${localDay(Date.now())}`;
    row.querySelector("input").checked = task.status === "completed";
    if (row.dataset.drawn === drawn) return row;
    if (fresh && row.dataset.version !== String(task.version)) flash(row);
    Object.assign(row.dataset, { id: task.id, version: task.version, drawn });
    fill(row, task, filter);
    return row;
  }

  #focused() {
    const element = document.activeElement;
    const row = element.closest?.(".task");
    if (!row) return null;
    return { element, index: [...this.#root.children].indexOf(row), part: FOCUSABLE.find((part) => element.matches(part)) };
  }

  #focus(index, part = ".title") {
    const row = this.#root.children[Math.min(index, this.#root.children.length - 1)];
    (row?.querySelector(part) ?? document.querySelector("#list-heading")).focus();
  }

  #move(event) {
    const { index, part } = this.#focused() ?? {};
    const next = index + (event.key === "ArrowDown" ? 1 : -1);
    if (index === undefined || next < 0) return;
    event.preventDefault();
    this.#focus(next, part);
  }
}

function flash(row) {
  row.classList.remove("fresh");
  void row.offsetWidth; // so that the animation starts again
  row.classList.add("fresh");
}

function fill(row, task, filter) {
  const part = (selector) => row.querySelector(selector);
  Object.assign(row.dataset, { status: task.status, priority: task.priority });
  part("input").setAttribute("aria-label", task.title);
  part(".title").textContent = task.title;
  part(".title").setAttribute("aria-label", `${task.title}, edit`);
  part(".delete").setAttribute("aria-label", `Delete ${task.title}`);
  part(".delete").title = "Delete";
  part(".description").textContent = task.description;
  part(".description").hidden = !task.description;
  part(".priority span").textContent = PRIORITIES[task.priority];
  part(".priority").hidden = !task.priority;
  const due = task.status === "open" && task.due_at;
  const overdue = Boolean(due) && new Date(due) < Date.now();
  part(".due").classList.toggle("overdue", overdue);
  fillTime(part(".due"), due, overdue ? "Overdue · " : "");
  fillTime(part(".done"), task.completed_at, "Completed ");
  for (const old of row.querySelectorAll(".tag")) old.remove();
  part(".meta").append(...task.tags.filter((tag) => tag !== filter.tag).map((tag) => tagLink(tag, filter)));
  part(".meta").hidden = !row.querySelector(".meta > :not([hidden])");
}

function fillTime(item, time, lead) {
  item.hidden = !time;
  if (!time) return;
  const element = item.querySelector("time");
  element.dateTime = time;
  element.title = exactTime(time);
  element.textContent = lead + dayName(time);
}

function tagLink(tag, filter) {
  const item = document.createElement("li");
  item.className = "tag";
  const link = document.createElement("a");
  link.href = addressOf({ ...filter, tag });
  link.textContent = tag;
  link.setAttribute("aria-label", `Tag ${tag}`);
  item.append(link);
  return item;
}
