/* Puts the parts together: what the person does goes to the service, what the service says goes to the screen. */

import { AddForm } from "./add_form.js";
import { completeTask, deleteTask, getTask, reopenTask } from "./api.js";
import { ask } from "./confirm.js";
import { Editor } from "./editor.js";
import { addressOf, emptyText, filterFrom } from "./filters.js";
import { LiveStream } from "./live.js";
import { announce, clearFailure, showConnection, showFailure, showToast } from "./notices.js";
import { Rows } from "./rows.js";
import { TaskList } from "./task_list.js";

const element = (id) => document.getElementById(id);
const list = new TaskList();
const rows = new Rows(element("tasks"), { toggle, edit: (id) => editor.open(list.get(id)), remove, follow });
const editor = new Editor((answer, isNew) => {
  if (isNew) addForm.clear(); // its title went into the dialog
  saved(answer, isNew);
});
const addForm = new AddForm({ onAdded: (answer) => saved(answer, true), onDetails: (draft) => editor.open(draft) });
let fresh = false;

/* The list */

list.addEventListener("change", () => {
  rows.render(list.tasks, list.filter, fresh);
  const none = list.loaded && !list.tasks.length;
  element("tasks").setAttribute("aria-busy", String(!list.loaded));
  element("loading").hidden = list.loaded;
  element("more").hidden = !list.hasMore;
  element("empty").hidden = !none;
  const [heading, line] = emptyText(list.filter);
  element("empty").firstElementChild.textContent = heading;
  element("empty").lastElementChild.textContent = line;
  fresh = list.loaded;
});

async function reading(read, again) {
  try {
    const result = await read();
    clearFailure({ ofReading: true });
    return result;
  } catch (problem) {
    element("loading").hidden = true;
    showFailure(problem, again);
    return undefined;
  }
}

const reload = (token) => reading(() => list.reload(token), () => reload(token));
const resync = (token) => reading(() => list.resync(token), () => resync(token));

element("more").addEventListener("click", async () => {
  const added = await reading(() => list.more(), () => element("more").click());
  if (!added) return;
  rows.focusTask(added[0]);
  announce(`${added.length} more tasks.`);
});

/* The filter */

function showFilter() {
  const filter = filterFrom(location.search);
  for (const link of element("status-filter").children) {
    link.href = addressOf({ ...filter, status: link.dataset.status });
    if (link.dataset.status === filter.status) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const chip = element("tag-filter");
  chip.hidden = !filter.tag;
  chip.href = addressOf({ ...filter, tag: "" });
  chip.firstElementChild.textContent = `#${filter.tag}`;
  chip.setAttribute("aria-label", `Stop filtering by tag ${filter.tag}`);
  addForm.setTag(filter.tag);
  document.title = `${{ open: "Open", completed: "Completed", all: "All" }[filter.status]} tasks · Taskledger`;
  fresh = false;
  reading(() => list.select(filter), () => reload());
}

function follow(address) {
  history.pushState(null, "", address);
  showFilter();
}

document.querySelector(".filters").addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  follow(link.getAttribute("href"));
  if (link.hidden) element("status-filter").querySelector("[aria-current]").focus();
});
window.addEventListener("popstate", showFilter);

/* What the person does */

function saved({ task, token }, isNew) {
  list.merge(task);
  showToast(isNew ? `Added “${task.title}”` : `Saved “${task.title}”`);
  return reload(token);
}

/** Run one change of a row; what fails is said and the row shows the truth again. */
async function changing(id, change) {
  clearFailure();
  rows.busy(id, true);
  try {
    return await change();
  } catch (problem) {
    if (problem.gone) list.remove(id);
    showFailure(problem);
    rows.render(list.tasks, list.filter, false);
    return undefined;
  } finally {
    rows.busy(id, false);
  }
}

function toggle(id) {
  const task = list.get(id);
  return setCompleted(task, task.status === "open");
}

async function setCompleted(task, completed) {
  const answer = await changing(task.id, () => (completed ? completeTask : reopenTask)(task.id));
  if (!answer) return;
  list.merge(answer.task);
  const undo = () => setCompleted(task, false).then(() => rows.focusTask(task.id));
  showToast(`${completed ? "Completed" : "Reopened"} “${task.title}”`, completed && undo);
  await reload(answer.token);
}

async function remove(id, warning = "It cannot be brought back.") {
  const task = list.get(id);
  if (!task || !(await ask({ heading: `Delete “${task.title}”?`, text: warning, action: "Delete" }))) return;
  const answer = await changing(id, () => deleteTask(id, task.version).catch((problem) => changedMeanwhile(id, problem)));
  if (!answer) return;
  list.remove(id);
  showToast(`Deleted “${task.title}”`);
  await reload(answer.token);
}

/** After a refused delete: deleted already is as good as done, and a changed task is asked about again. */
async function changedMeanwhile(id, problem) {
  if (problem.gone) return { token: null };
  if (problem.status !== 412) throw problem;
  list.merge(await getTask(id));
  remove(id, "Somebody else changed this task meanwhile; this is how it is called now. It cannot be brought back.");
  return undefined;
}

/* What others do */

const live = new LiveStream(list, {
  onState: showConnection,
  onReset: resync,
  onNews(id, before, task) {
    editor.rebase(id, task);
    if (task) announce(`“${task.title}” was ${before ? "changed" : "added"}.`);
    else if (before) announce(`“${before.title}” was deleted.`);
  },
});

showFilter();
live.open();
