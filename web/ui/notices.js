/* What the page tells the person besides the list itself. */

const TOAST_MS = 8_000;
const NEWS_MS = 800;

const failure = document.querySelector("#failure");
const toast = document.querySelector("#toast");
const announcer = document.querySelector("#announcer");
const connection = document.querySelector("#connection");
const CONNECTION_TEXT = { live: "Live", reconnecting: "Reconnecting…", offline: "Offline" };

let hideTimer;
let act = () => {};

/** Say that something was done, with a button that takes it back where `undo` is given. */
export function showToast(text, undo) {
  clearTimeout(hideTimer);
  const button = toast.querySelector("button");
  toast.querySelector("p").textContent = text;
  button.hidden = !undo;
  act = undo;
  toast.classList.add("shown");
  hideTimer = setTimeout(hideToast, TOAST_MS);
}

function hideToast() {
  if (toast.matches(":hover, :focus-within")) hideTimer = setTimeout(hideToast, TOAST_MS);
  else toast.classList.remove("shown");
}

toast.querySelector("button").addEventListener("click", () => {
  toast.classList.remove("shown");
  act();
});

let retry = null;

/** Keep an error in sight until the person deals with it; `again` offers to try once more. */
export function showFailure(problem, again) {
  failure.querySelector("p").textContent = problem.message;
  failure.querySelector("button").textContent = again ? "Try again" : "Dismiss";
  failure.hidden = false;
  retry = again;
}

/** Take the error away; after a read that went well, only an error of reading. */
export function clearFailure({ ofReading = false } = {}) {
  if (retry || !ofReading) failure.hidden = true;
}

failure.querySelector("button").addEventListener("click", () => {
  clearFailure();
  document.querySelector("#list-heading").focus();
  retry?.();
});

export function showConnection(state) {
  if (connection.dataset.state === state) return;
  connection.dataset.state = state;
  connection.textContent = CONNECTION_TEXT[state];
}

let news = [];

/** Read one sentence to those who cannot see the list change; many at once become a count. */
export function announce(sentence) {
  if (news.push(sentence) > 1) return;
  setTimeout(() => {
    announcer.textContent = news.length === 1 ? news[0] : `${news.length} tasks changed.`;
    news = [];
  }, NEWS_MS);
}
