/* Other clients' changes, as they happen. */

import { getTask } from "./api.js";

const REOPEN_MS = 2_000;
const MANY = 20; // beyond this many hints at once, one page costs less than each task

/** Follows the service's event stream into the list.
 *
 * `onState` is told live, reconnecting or offline; `onReset` where changes may have been missed, with the position to
 * read from; `onNews` gets (task before, task now or null) for each change that the
 * list did not have yet. The stream is closed while nobody looks: browsers allow six connections to a host, for all tabs.
 */
export class LiveStream {
  #list;
  #hooks;
  #source = null;
  #hints = new Map();
  #draining = false;
  #token = ""; // the position that the newest event of the stream stands for

  constructor(list, hooks) {
    this.#list = list;
    this.#hooks = hooks;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#close() : this.open()));
    window.addEventListener("online", () => this.#online());
    window.addEventListener("offline", () => this.#lost());
  }

  open() {
    this.#close();
    this.#source = new EventSource("/api/events");
    this.#source.addEventListener("open", () => {
      this.#hooks.onState("live");
      this.#hooks.onReset(this.#token); // whatever happened before the stream stood
    });
    this.#source.addEventListener("reset", ({ lastEventId }) => {
      this.#token = lastEventId;
      this.#hooks.onReset(this.#token);
    });
    this.#source.addEventListener("error", () => this.#lost());
    this.#source.addEventListener("change", ({ data, lastEventId }) => {
      this.#token = lastEventId;
      const hint = JSON.parse(data);
      this.#hints.set(hint.id, hint);
      this.#drain();
    });
  }

  #close() {
    this.#source?.close();
    this.#source = null;
  }

  /** Leave a stream that lives alone: the browser makes it go on where it was, which a new one cannot. */
  #online() {
    const state = this.#source?.readyState;
    if (state === EventSource.CLOSED) this.open();
    else if (state !== undefined) this.#hooks.onState(state === EventSource.OPEN ? "live" : "reconnecting");
  }

  #lost() {
    this.#hooks.onState(navigator.onLine ? "reconnecting" : "offline");
    const source = this.#source;
    if (source?.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    setTimeout(() => source === this.#source && this.open(), REOPEN_MS);
  }

  async #drain() {
    if (this.#draining) return;
    this.#draining = true;
    while (this.#hints.size) {
      if (this.#hints.size > MANY) {
        this.#hints.clear();
        await this.#hooks.onReset(this.#token);
        continue;
      }
      const [id, hint] = this.#hints.entries().next().value;
      this.#hints.delete(id);
      if (hint.version > this.#list.version(id)) await this.#apply(id);
    }
    this.#draining = false;
  }

  /** A hint may name a change that lost its race: only the task itself tells what happened. */
  async #apply(id) {
    const before = this.#list.get(id);
    try {
      const task = await getTask(id, this.#token);
      if (task.version <= this.#list.version(id)) return;
      this.#list.merge(task);
      this.#hooks.onNews(id, before, task);
    } catch (error) {
      if (error.gone) {
        this.#list.remove(id);
        this.#hooks.onNews(id, before, null);
      } else {
        await this.#hooks.onReset(this.#token); // which says what is wrong
      }
    }
  }
}
