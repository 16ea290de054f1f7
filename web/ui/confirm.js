/* One question with two answers. */

const dialog = document.querySelector("#confirm");

/** Ask before something that cannot be taken back; cancelling is where the focus starts. */
export function ask({ heading, text, action }) {
  dialog.querySelector("h2").textContent = heading;
  dialog.querySelector("p").textContent = text;
  dialog.querySelector("[value=yes]").textContent = action;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
