/* Tags as removable chips, with an input that adds to them. */

import { fromTemplate } from "./rows.js";

export class TagInput {
  #list;
  #input;

  constructor(root) {
    this.#list = root.querySelector("ul");
    this.#input = root.querySelector("input");
    this.#input.addEventListener("keydown", (event) => this.#key(event));
    this.#input.addEventListener("input", () => this.#input.value.includes(",") && this.#commit());
    this.#list.addEventListener("click", (event) => this.#remove(event.target.closest("li")));
    root.addEventListener("click", (event) => event.target === root && this.#input.focus());
  }

  /** The chips, and what is typed but not yet made a chip. */
  get value() {
    const chips = Array.from(this.#list.children, (chip) => chip.dataset.tag);
    return [...new Set([...chips, ...this.#typed()])];
  }

  set value(tags) {
    this.#input.value = "";
    this.#list.replaceChildren(...tags.map(chip));
  }

  #typed() {
    return this.#input.value.split(",").map((tag) => tag.trim().replace(/\s+/g, " ")).filter(Boolean);
  }

  #commit() {
    this.value = this.value;
  }

  #key(event) {
    if (event.isComposing) return;
    if (event.key === "Enter" && this.#typed().length) {
      event.preventDefault(); // the next Enter saves
      this.#commit();
    } else if (event.key === "Backspace" && !this.#input.value) {
      this.#list.lastElementChild?.remove();
    }
  }

  #remove(item) {
    if (!item) return;
    item.remove();
    this.#input.focus();
  }
}

function chip(tag) {
  const item = fromTemplate("tag");
  item.dataset.tag = tag;
  item.querySelector("span").textContent = tag;
  item.querySelector("button").setAttribute("aria-label", `Remove tag ${tag}`);
  return item;
}
