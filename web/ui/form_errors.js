/* Puts a problem where the person can act on it: at its field, or above the form. */

/** Show a problem in a form whose fields are marked with `data-field`, and focus the first bad one. */
export function showProblem(form, problem) {
  clearProblem(form);
  const elsewhere = problem.errors.filter((error) => !showAtField(form, error));
  if (elsewhere.length || !problem.errors.length) form.querySelector(".form-error").textContent = problem.message;
  form.querySelector("[aria-invalid]")?.focus();
}

export function clearProblem(form) {
  form.querySelector(".form-error").textContent = "";
  for (const message of form.querySelectorAll(".field-error")) message.hidden = true;
  for (const control of form.querySelectorAll("[aria-invalid]")) control.removeAttribute("aria-invalid");
}

/** `tags[2]` and `tags.2` belong to the field `tags`. */
function showAtField(form, { field, detail }) {
  const place = form.querySelector(`[data-field="${CSS.escape(field.match(/^\w*/)[0])}"]`);
  if (!place) return false;
  const message = place.querySelector(".field-error");
  message.textContent = message.hidden ? detail : `${message.textContent}; ${detail}`;
  message.hidden = false;
  place.querySelector("[name]").setAttribute("aria-invalid", "true");
  return true;
}
