/* The tasks that the page shows, kept equal to what the service would list.
   Pages, answers to changes and live hints arrive in any order; the higher version of a task wins. */

import { listTasks } from "./api.js";
import { matches } from "./filters.js";

const PAGE = 50;
const LARGEST_PAGE = 200;

/** The service's order: newest first, the id decides ties. */
function byNewest(one, other) {
  return new Date(other.created_at) - new Date(one.created_at)
    || (one.created_at < other.created_at ? 1 : one.created_at > other.created_at ? -1 : 0)
    || (one.id < other.id ? 1 : -1);
}

/** Dispatches `change` whenever what should be on the screen is different. */
export class TaskList extends EventTarget {
  filter = { status: "open", tag: "" };
  loaded = false;
  hasMore = false;
  #tasks = new Map();
  #versions = new Map(); // newest version seen of every task, shown or not; Infinity once deleted
  #heard = new Set(); // tasks known from changes rather than pages: a page that lacks them is behind
  #cursor = null;
  #last = null; // the last task of the last page: what comes after it is not loaded yet
  #wanted = PAGE;
  #reads = Promise.resolve();
  #abort = new AbortController();

  get tasks() {
    return [...this.#tasks.values()].sort(byNewest);
  }

  get(id) {
    return this.#tasks.get(id);
  }

  version(id) {
    return this.#versions.get(id) ?? 0;
  }

  /** Show another selection; the old one's reads are dropped. */
  select(filter) {
    this.#abort.abort();
    this.#abort = new AbortController();
    this.#reads = Promise.resolve();
    this.#tasks.clear();
    Object.assign(this, { filter, loaded: false, hasMore: false });
    this.#wanted = PAGE;
    this.#changed();
    return this.reload();
  }

  /** Read again as much as is shown, at least up to the position `token`. */
  reload(token) {
    return this.#read(async (signal) => {
      const items = [];
      let cursor = null;
      do {
        const limit = Math.min(LARGEST_PAGE, this.#wanted - items.length);
        const page = await listTasks({ ...this.filter, limit, cursor, token, signal });
        items.push(...page.items);
        cursor = page.next;
      } while (cursor && items.length < this.#wanted);
      const shown = this.#tasks;
      this.#tasks = new Map();
      this.#take(items, cursor, shown);
      for (const [id, task] of shown) {
        if (this.#heard.has(id) && !this.#tasks.has(id) && this.#inReach(task)) this.#tasks.set(id, task);
      }
      this.#changed();
    });
  }

  /** Read again where changes may have been missed, so that only pages tell what exists. */
  resync(token) {
    this.#heard.clear();
    return this.reload(token);
  }

  /** Read the next page; gives the ids that it added. */
  more() {
    return this.#read(async (signal) => {
      const page = await listTasks({ ...this.filter, limit: PAGE, cursor: this.#cursor, signal });
      this.#wanted += PAGE;
      this.#take(page.items, page.next, this.#tasks);
      this.#changed();
      return page.items.map((task) => task.id);
    });
  }

  /** Take one task's newer state; older news changes nothing. */
  merge(task) {
    if (task.version <= this.version(task.id)) return;
    this.#versions.set(task.id, task.version);
    this.#heard.add(task.id);
    if (matches(this.filter, task) && this.#inReach(task)) this.#tasks.set(task.id, task);
    else this.#tasks.delete(task.id);
    this.#changed();
  }

  remove(id) {
    this.#versions.set(id, Infinity);
    if (this.#tasks.delete(id)) this.#changed();
  }

  #take(items, cursor, shown) {
    for (const task of items) {
      const current = task.version >= this.version(task.id) ? task : shown.get(task.id);
      if (!current) continue; // the page is older than what made the task leave the list
      this.#versions.set(task.id, current.version);
      this.#tasks.set(task.id, current);
    }
    this.#cursor = cursor;
    this.#last = items.at(-1) ?? this.#last;
    this.loaded = true;
    this.hasMore = Boolean(cursor);
  }

  #inReach(task) {
    return !this.hasMore || byNewest(task, this.#last) <= 0;
  }

  /** Run one read after the other; a dropped read gives undefined. */
  #read(job) {
    const { signal } = this.#abort;
    const run = this.#reads.then(async () => {
      try {
        if (!signal.aborted) return await job(signal);
      } catch (error) {
        if (!signal.aborted) throw error;
      }
      return undefined;
    });
    this.#reads = run.catch(() => {}); // whoever asked for that read is told
    return run;
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
