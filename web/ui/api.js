/* The service's HTTP interface: one function per request, one error for everything that can go wrong. */

const ATTEMPTS = 5;
const ATTEMPT_MS = 15_000;
const LONGEST_PAUSE_MS = 10_000;

/** Why a request failed: the service's own problem document, or status 0 when it gave no answer. */
export class Problem extends Error {
  constructor({ status = 0, detail, title, errors = [] }) {
    super(detail || title || `The service answered ${status}.`);
    this.status = status;
    this.errors = errors;
  }

  /** Whether the task no longer exists. */
  get gone() {
    return this.status === 404 || this.status === 410;
  }
}

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Wait as long as the answer asks for; else twice as long each time, spread so that clients do not march in step. */
function retryDelay(attempt, response) {
  const asked = Number(response?.headers.get("Retry-After") ?? NaN) * 1000;
  const delay = Number.isFinite(asked) ? asked : 300 * 2 ** attempt * (0.5 + Math.random() / 2);
  return Math.min(delay, LONGEST_PAUSE_MS);
}

/** Send until there is an answer other than 503; the request must be safe to repeat. */
async function send(path, { signal, ...init } = {}) {
  for (let attempt = 0; ; attempt += 1) {
    const last = attempt === ATTEMPTS - 1;
    let response;
    try {
      const limit = AbortSignal.timeout(ATTEMPT_MS);
      response = await fetch(path, { ...init, signal: signal ? AbortSignal.any([signal, limit]) : limit });
      const text = await response.text();
      if (response.ok) return { response, data: text && JSON.parse(text) };
      if (response.status !== 503 || last) throw new Problem({ ...problemFrom(text), status: response.status });
    } catch (error) {
      if (error instanceof Problem || signal?.aborted) throw error;
      if (last) throw new Problem({ detail: "The service does not answer. Check the connection and try again." });
    }
    await pause(retryDelay(attempt, response));
  }
}

function problemFrom(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {}; // something between here and the service answered
  }
}

/* A change whose fate is unknown keeps its key: when the person sends the very same thing again, it counts once. */
const undecided = new Map();

/** 128 random bits; `randomUUID` is missing where the page comes over plain HTTP from another machine. */
function newKey() {
  if (crypto.randomUUID) return crypto.randomUUID();
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (word) => word.toString(16).padStart(8, "0")).join("");
}

async function change(method, path, { seen, body, type = "application/json" } = {}) {
  const headers = {};
  if (seen) headers["If-Match"] = `"${seen}"`;
  if (body) headers["Content-Type"] = type;
  const request = { method, headers, body: body && JSON.stringify(body) };
  const sameAs = JSON.stringify([path, request]);
  const key = undecided.get(sameAs) ?? newKey();
  undecided.delete(sameAs);
  try {
    const { response, data } = await send(path, { ...request, headers: { ...headers, "Idempotency-Key": key } });
    return { task: data, token: response.headers.get("Consistency-Token") };
  } catch (error) {
    if (error.status === 0 || error.status >= 500) undecided.set(sameAs, key);
    throw error;
  }
}

const pathOf = (id) => `/api/tasks/${encodeURIComponent(id)}`;
const reading = (token, signal) => ({ signal, cache: "no-store", headers: token ? { "Consistency-Token": token } : {} });

/** One page of tasks, newest first: `{items, next}`. */
export async function listTasks({ status, tag, limit, cursor, token, signal }) {
  const query = new URLSearchParams({ limit });
  if (status !== "all") query.set("status", status);
  if (tag) query.set("tag", tag);
  if (cursor) query.set("cursor", cursor);
  return (await send(`/api/tasks?${query}`, reading(token, signal))).data;
}

export const getTask = async (id, token) => (await send(pathOf(id), reading(token))).data;

/* Changes give `{task, token}`. `seen` is the version that the person looked at. */
export const createTask = (body) => change("POST", "/api/tasks", { body });
export const updateTask = (id, seen, body) => change("PATCH", pathOf(id), { seen, body, type: "application/merge-patch+json" });
export const completeTask = (id) => change("POST", `${pathOf(id)}/complete`);
export const reopenTask = (id) => change("POST", `${pathOf(id)}/reopen`);
export const deleteTask = (id, seen) => change("DELETE", pathOf(id), { seen });
