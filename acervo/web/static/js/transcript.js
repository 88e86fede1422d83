// The transcript beside its player: follows what plays, leads there, is searched and copied.

const STAYS_ON_TOP = 0.35; // of the list's height: where the passage that plays is kept
const kept = new Map(); // by file: what was searched and where the list stood, across fresh copies of the element

/** As people search: without accents, without capitals. One letter for each, so that places stay the same. */
const folded = (text) => [...text].map((letter) => letter.normalize("NFD")[0].toLowerCase().padEnd(letter.length)).join("");

class TranscriptView extends HTMLElement {
  connectedCallback() {
    this.list = this.querySelector(".tr");
    this.follow = ({ detail }) => this.show(detail);
    document.addEventListener("acervo:playing", this.follow);
    if (!this.list) return;
    this.isFollowing = true;
    this.found = [];
    if (!this.isWired) this.wire();
    this.resume();
  }

  disconnectedCallback() {
    document.removeEventListener("acervo:playing", this.follow);
    if (!this.list) return;
    kept.set(this.dataset.file, { query: this.search?.value || "", top: this.list.scrollTop });
    CSS.highlights?.delete("found");
    CSS.highlights?.delete("found-here");
  }

  wire() {
    this.isWired = true;
    this.search = this.querySelector("input[type=search]");
    this.back = this.querySelector(".tr__back");
    this.copy = this.querySelector("[data-copy-text]");
    this.addEventListener("click", (event) => this.press(event.target));
    this.addEventListener("keydown", (event) => this.steer(event));
    this.search?.addEventListener("input", () => this.find());
    this.back?.querySelector("button").addEventListener("click", () => this.goOnFollowing());
    // Whoever moves the list reads elsewhere: it no longer runs away from them.
    for (const way of ["wheel", "touchmove"]) this.list.addEventListener(way, () => this.stopFollowing(), { passive: true });
  }

  resume() {
    const before = kept.get(this.dataset.file);
    if (!before) return;
    this.list.scrollTop = before.top;
    if (this.search) this.search.value = before.query;
    if (before.query) this.find();
  }

  get lines() { return [...this.list.querySelectorAll(".tr__line")]; }

  press(target) {
    const time = target.closest("[data-second]");
    if (time) {
      this.goOnFollowing();
      document.dispatchEvent(new CustomEvent("acervo:seek", { detail: { file: this.dataset.file, second: Number(time.dataset.second) } }));
    }
    if (target.closest("[data-copy-text]")) this.copy.dataset.copy = this.lines.map((line) => line.querySelector(".tr__said")?.textContent).filter(Boolean).join("\n");
  }

  /** In a form: Escape leaves it, Ctrl and Enter save. In the search: Enter goes on to the next place. */
  steer(event) {
    const form = event.target.closest(".tr__form");
    if (form && event.key === "Escape") form.querySelector("[data-leave]").click();
    else if (form && event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
    else if (event.target === this.search && event.key === "Enter") this.step(event.shiftKey ? -1 : 1);
    else if (event.target === this.list && ["PageUp", "PageDown", "Home", "End", "ArrowUp", "ArrowDown"].includes(event.key)) return this.stopFollowing();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  // ── along what plays ──

  show({ file, second, isPlaying }) {
    if (!this.list) return;
    const isMine = file === this.dataset.file && (isPlaying || second > 0);
    const now = isMine ? this.lineAt(second) : undefined;
    if (now === this.now) return;
    this.now?.removeAttribute("aria-current");
    this.now = now;
    if (!now) return this.showBack();
    now.setAttribute("aria-current", "true");
    if (this.isFollowing && isPlaying) this.bringIntoView(now);
    this.showBack();
  }

  lineAt(second) {
    return this.lines.findLast((line) => Number(line.dataset.start) <= second + 0.05);
  }

  /** Only inside the list: the page stays where its reader is. */
  bringIntoView(line) {
    this.list.scrollTop = line.offsetTop - this.list.offsetTop - this.list.clientHeight * STAYS_ON_TOP;
  }

  stopFollowing() {
    this.isFollowing = false;
    this.showBack();
  }

  goOnFollowing() {
    this.isFollowing = true;
    if (this.now) this.bringIntoView(this.now);
    this.showBack();
  }

  showBack() {
    if (this.back) this.back.hidden = this.isFollowing || !this.now || this.list.scrollHeight <= this.list.clientHeight;
  }

  // ── searching ──

  find() {
    const wanted = folded(this.search.value.trim());
    this.found = wanted ? this.lines.flatMap((line) => [...this.placesIn(line, wanted)]) : [];
    this.at = -1;
    this.paint();
    if (this.found.length) this.step(1);
    else this.tell(wanted ? this.dataset.none : "");
  }

  * placesIn(line, wanted) {
    const node = line.querySelector(".tr__said")?.firstChild;
    if (!node) return;
    const text = folded(node.data);
    for (let from = text.indexOf(wanted); from >= 0; from = text.indexOf(wanted, from + wanted.length)) {
      const range = new Range();
      range.setStart(node, from);
      range.setEnd(node, from + wanted.length);
      yield range;
    }
  }

  step(by) {
    if (!this.found.length) return;
    this.at = (this.at + by + this.found.length) % this.found.length;
    this.paint();
    this.stopFollowing();
    this.bringIntoView(this.found[this.at].startContainer.parentElement.closest(".tr__line"));
    this.tell(this.dataset.found.replace("{at}", this.at + 1).replace("{of}", this.found.length));
  }

  tell(words) { this.querySelector("output").textContent = words; }

  paint() {
    if (!CSS.highlights) return;
    CSS.highlights.set("found", new Highlight(...this.found));
    CSS.highlights.set("found-here", new Highlight(...this.found.slice(this.at, this.at + 1).filter(() => this.at >= 0)));
  }
}

customElements.define("transcript-view", TranscriptView);
