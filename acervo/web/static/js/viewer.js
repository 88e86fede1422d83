// Pictures: one, or the pages of a document one at a time; enlarged, turned and moved about in a dialog.

const MOST = 8; // times the size that fits
const STEP = 1.5;

/** Holds figures with a link to each picture, and a <dialog>. Without this script the links open the pictures. */
class PictureViewer extends HTMLElement {
  connectedCallback() {
    if (this.isWired) return;
    this.isWired = true;
    this.figures = [...this.querySelectorAll("[data-picture]")];
    this.at = 0;
    this.figures.forEach((figure, at) => this.wireFigure(figure, at));
    this.querySelectorAll("[data-turn]").forEach((button) => button.addEventListener("click", () => this.go(this.at + Number(button.dataset.turn))));
    this.wireDialog();
    this.go(0);
  }

  wireFigure(figure, at) {
    figure.querySelector("a").addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      event.stopPropagation();
      this.open(at);
    });
    const [picture, failed] = [figure.querySelector("img"), figure.querySelector(".viewer__failed")];
    const shown = () => { if (failed) failed.hidden = !(picture.complete && !picture.naturalWidth); };
    picture.addEventListener("error", shown);
    picture.addEventListener("load", shown);
    failed?.querySelector("button").addEventListener("click", () => { picture.src = picture.getAttribute("src"); });
    if (picture.loading !== "lazy") shown();
  }

  wireDialog() {
    this.dialog = this.querySelector("dialog");
    this.board = this.dialog.querySelector(".zoom__board");
    this.sheet = this.dialog.querySelector(".zoom__sheet");
    this.picture = this.sheet.querySelector("img");
    const acts = { larger: () => this.zoom(STEP), smaller: () => this.zoom(1 / STEP), fit: () => this.fit(), turn: () => this.rotate(), close: () => this.dialog.close() };
    this.dialog.querySelectorAll("[data-act]").forEach((button) => button.addEventListener("click", acts[button.dataset.act]));
    this.dialog.addEventListener("close", () => this.tidy());
    this.dialog.addEventListener("keydown", (event) => this.obeyKey(event, acts));
    this.picture.addEventListener("load", () => this.fit());
    this.board.addEventListener("wheel", (event) => this.obeyWheel(event), { passive: false });
    this.board.addEventListener("pointerdown", (event) => this.drag(event));
    new ResizeObserver(() => { if (this.dialog.open) this.lay(); }).observe(this.board);
  }

  /** Show this page, here and in the dialog. */
  go(at) {
    if (at < 0 || at >= this.figures.length) return;
    this.at = at;
    this.figures.forEach((figure, number) => { figure.hidden = number !== at; });
    const said = this.dataset.page?.replace("{page}", at + 1).replace("{count}", this.figures.length) || "";
    this.querySelectorAll("[data-place]").forEach((place) => { place.textContent = said; });
    this.querySelectorAll("[data-turn]").forEach((button) => {
      // Not `disabled`, which would take the focus away from whoever turns pages by keyboard.
      const isBeyond = at + Number(button.dataset.turn) < 0 || at + Number(button.dataset.turn) >= this.figures.length;
      button.setAttribute("aria-disabled", String(isBeyond));
    });
    if (this.dialog.open) this.take();
  }

  open(at) {
    this.scale = 1;
    this.turned = 0;
    this.dialog.showModal();
    this.board.focus();
    this.go(at);
  }

  /** The picture of the page into the dialog. */
  take() {
    const figure = this.figures[this.at];
    this.picture.alt = figure.querySelector("img").alt;
    this.picture.src = figure.querySelector("a").href;
  }

  tidy() {
    // A style that stayed would offend the policy as soon as somebody copies the element.
    for (const element of [this.sheet, this.picture]) element.removeAttribute("style");
    this.picture.removeAttribute("src");
  }

  fit() {
    this.scale = 1;
    this.lay();
  }

  rotate() {
    this.turned = (this.turned + 90) % 360;
    this.fit();
  }

  /** Around the middle of what is seen, or around a point of the board. */
  zoom(by, point) {
    const scale = Math.min(Math.max(this.scale * by, 1), MOST);
    const board = this.board;
    const [x, y] = point || [board.clientWidth / 2, board.clientHeight / 2];
    const [across, down] = [(board.scrollLeft + x) / board.scrollWidth, (board.scrollTop + y) / board.scrollHeight];
    this.scale = scale;
    this.lay();
    board.scrollTo(across * board.scrollWidth - x, down * board.scrollHeight - y);
  }

  /** Widths and heights by CSSOM: the board scrolls, so keys, wheels and fingers move the picture as they move a page. */
  lay() {
    const { naturalWidth: width, naturalHeight: height } = this.picture;
    if (!width || !this.dialog.open) return;
    const isSideways = this.turned % 180 !== 0;
    const [wide, high] = isSideways ? [height, width] : [width, height];
    const fits = Math.min(this.board.clientWidth / wide, this.board.clientHeight / high, 1);
    const size = fits * this.scale;
    Object.assign(this.sheet.style, { width: `${wide * size}px`, height: `${high * size}px` });
    Object.assign(this.picture.style, { width: `${width * size}px`, height: `${height * size}px`, transform: `translate(-50%, -50%) rotate(${this.turned}deg)` });
    this.board.classList.toggle("is-enlarged", this.scale > 1);
    const shown = size.toLocaleString(document.documentElement.lang, { style: "percent", maximumFractionDigits: 0 });
    this.dialog.querySelector("[data-scale]").textContent = shown;
  }

  obeyKey(event, acts) {
    event.stopPropagation(); // the keys of the page are for what lies beneath
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const turns = { PageUp: -1, PageDown: 1, ...(this.scale === 1 && { ArrowLeft: -1, ArrowRight: 1 }) };
    const act = { "+": acts.larger, "=": acts.larger, "-": acts.smaller, 0: acts.fit, r: acts.turn, R: acts.turn }[event.key];
    const turn = this.figures.length > 1 && turns[event.key];
    if (!act && !turn) return;
    event.preventDefault();
    if (act) act();
    else this.go(this.at + turn);
  }

  obeyWheel(event) {
    if (!event.ctrlKey) return; // without it the wheel scrolls, as everywhere
    event.preventDefault();
    const box = this.board.getBoundingClientRect();
    this.zoom(Math.exp(-event.deltaY / 300), [event.clientX - box.left, event.clientY - box.top]);
  }

  /** With a mouse; fingers scroll by themselves. */
  drag(event) {
    if (event.pointerType !== "mouse" || event.button !== 0) return;
    event.preventDefault();
    this.board.focus();
    this.board.setPointerCapture(event.pointerId);
    const move = ({ movementX, movementY }) => this.board.scrollBy(-movementX, -movementY);
    this.board.addEventListener("pointermove", move);
    this.board.addEventListener("lostpointercapture", () => this.board.removeEventListener("pointermove", move), { once: true });
  }
}

customElements.define("picture-viewer", PictureViewer);
