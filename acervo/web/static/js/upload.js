// A bar that follows an upload. Without this file the form works all the same.

/** In a form that htmx sends: shows how much of it is on its way, then that the other side is at work. */
class UploadProgress extends HTMLElement {
  connectedCallback() {
    this.form = this.closest("form");
    if (!this.form) return;
    this.form.addEventListener("htmx:beforeRequest", this.begin);
    this.form.addEventListener("htmx:xhr:progress", this.move);
    this.form.addEventListener("htmx:afterRequest", this.end);
  }

  begin = () => {
    this.hidden = false;
    this.say(0, this.dataset.sending);
    this.form.querySelector("[type=submit]").disabled = true;
  };

  move = ({ detail }) => {
    if (!detail.total || this.isSent) return;
    this.isSent = detail.loaded >= detail.total;
    this.say((100 * detail.loaded) / detail.total, this.isSent ? this.dataset.looking : this.dataset.sending);
  };

  end = () => {
    this.hidden = true;
    this.isSent = false;
    const button = this.form.querySelector("[type=submit]");
    if (button) button.disabled = false;
  };

  say(percent, words) {
    this.querySelector("rect").setAttribute("width", String(Math.round(percent)));
    const line = this.querySelector("p");
    if (line.textContent !== words) line.textContent = words;
  }
}

customElements.define("upload-progress", UploadProgress);
