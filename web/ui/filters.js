/* What the list shows, as the address bar says it: `?status=completed|all` (open when absent) and `?tag=`. */

const STATUSES = ["open", "completed", "all"];

export function filterFrom(search) {
  const query = new URLSearchParams(search);
  const status = query.get("status");
  return { status: STATUSES.includes(status) ? status : "open", tag: query.get("tag") || "" };
}

export function addressOf({ status, tag }) {
  const query = new URLSearchParams();
  if (status !== "open") query.set("status", status);
  if (tag) query.set("tag", tag);
  return query.size ? `/?${query}` : "/";
}

export function matches({ status, tag }, task) {
  return (status === "all" || task.status === status) && (!tag || task.tags.includes(tag));
}

/** What to say where nothing matches: a heading and a line. */
export function emptyText({ status, tag }) {
  if (tag) return [`Nothing tagged “${tag}” here`, "Choose another status or remove the tag to see more."];
  if (status === "completed") return ["Nothing completed yet", "Tasks you complete are kept here."];
  if (status === "open") return ["All clear", "Nothing is open. Add a task above when something comes up."];
  return ["No tasks yet", "Write the first one above."];
}
