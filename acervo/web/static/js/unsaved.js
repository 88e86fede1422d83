// Before somebody leaves a page whose form they changed, they are asked. Without this file the form works all the same.

const changed = () => document.querySelector("form[data-guard][data-dirty]");

document.addEventListener("input", (event) => {
  const form = event.target.closest?.("form[data-guard]");
  if (form && !event.target.closest("#preview")) form.dataset.dirty = "";
});

document.addEventListener("submit", (event) => {
  if (event.target.matches("form[data-guard]")) delete event.target.dataset.dirty;
}, true);

window.addEventListener("beforeunload", (event) => {
  if (changed()) event.preventDefault();
});

document.addEventListener("htmx:beforeRequest", (event) => {
  const form = changed();
  if (!form || !event.detail.boosted || event.detail.elt === form) return;
  if (window.confirm(form.dataset.guard)) delete form.dataset.dirty;
  else event.preventDefault();
});
