// News without reloading: parts of a page are fetched again when the server says that something changed.

const POLL_S = 15;
const SETTLE_MS = 250;
const pristine = new WeakMap();
const withoutTokens = (html) => html.replace(/(name="csrfmiddlewaretoken" value=")[^"]*/g, "$1");

let held; // what a pointer presses at this moment
document.addEventListener("pointerdown", (event) => { held = event.target; });
for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, () => { held = undefined; });

/** A part of a page that is kept up to date. `data-src`: where to fetch it from, if not this page's address. */
class LivePart extends HTMLElement {
  connectedCallback() {
    if (!pristine.has(this)) this.noteWhatIsShown();
    if (this.dataset.every) this.timer = setInterval(() => refresh([this]), Number(this.dataset.every) * 1000);
  }

  disconnectedCallback() { clearInterval(this.timer); }

  noteWhatIsShown() {
    pristine.set(this, withoutTokens(this.innerHTML));
    this.querySelectorAll("article[id]").forEach((card) => pristine.set(card, withoutTokens(card.outerHTML)));
  }

  /** Take what the server shows now; what did not change keeps its very elements, and so its focus and pictures. */
  become(fresh) {
    const html = withoutTokens(fresh.innerHTML);
    if (html === pristine.get(this) || this.isInUse) return;
    const focused = this.contains(document.activeElement) ? document.activeElement : undefined;
    const cards = [...fresh.querySelectorAll("article[id]")].map((card) => [card, withoutTokens(card.outerHTML)]);
    const content = document.createDocumentFragment();
    content.append(...[...fresh.childNodes].map((node) => document.importNode(node, true)));
    for (const [card, source] of cards) {
      const place = content.getElementById(card.id);
      const old = document.getElementById(card.id);
      if (old && this.contains(old) && pristine.get(old) === source) place.replaceWith(old);
      else pristine.set(place, source);
    }
    this.replaceChildren(content);
    this.className = fresh.className;
    if (fresh.dataset.src) this.dataset.src = fresh.dataset.src;
    pristine.set(this, html);
    window.htmx?.process(this);
    if (focused) (focused.isConnected ? focused : document.getElementById(focused.id))?.focus({ preventScroll: true });
  }

  /** Somebody fills in a form or holds a position, or a link in here was followed and its answer is on the way (htmx finds
      out by the link what to do with it): not now. */
  get isInUse() {
    if (this.querySelector(".htmx-request")) return true;
    const active = document.activeElement;
    const isFilledIn = this.contains(active) && active.matches("select, textarea, input:not([type=range])");
    return isFilledIn || Boolean(held && this.contains(held));
  }
}

let waiting = 0;
function refreshSoon() {
  clearTimeout(waiting);
  waiting = setTimeout(() => refresh([...document.querySelectorAll("live-part[id]")]), SETTLE_MS);
}

async function refresh(parts) {
  const bySource = Map.groupBy ? Map.groupBy(parts, source) : grouped(parts);
  for (const [address, its] of bySource) await refreshFrom(address, its);
}

const source = (part) => part.dataset.src || location.pathname + location.search;

function grouped(parts) {
  const found = new Map();
  for (const part of parts) found.set(source(part), [...(found.get(source(part)) || []), part]);
  return found;
}

async function refreshFrom(address, parts) {
  let answer;
  try {
    answer = await fetch(address, { headers: { "X-Acervo-Live": "1" }, credentials: "same-origin" });
  } catch {
    return; // away for a moment; the next news or the next poll comes
  }
  if (answer.redirected && new URL(answer.url).pathname === "/sign-in") return location.reload();
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of parts) {
    const fresh = page.getElementById(part.id);
    if (fresh && part.isConnected) part.become(fresh);
  }
  const [sum, freshSum] = [document.getElementById("sum"), page.getElementById("sum")];
  if (sum && freshSum && sum.textContent !== freshSum.textContent) sum.textContent = freshSum.textContent;
}

/** Listens while the page is looked at; polls where a stream cannot be had. */
class LiveFeed extends HTMLElement {
  connectedCallback() {
    document.addEventListener("visibilitychange", () => (document.hidden ? this.close() : this.open(true)));
    window.addEventListener("pagehide", () => this.close());
    this.open();
  }

  open(isBack = false) {
    if (document.hidden || this.source) return;
    if (isBack) refreshSoon();
    this.source = new EventSource(this.dataset.src);
    this.source.addEventListener("changed", refreshSoon);
    this.source.addEventListener("ready", () => this.stopPolling());
    this.source.addEventListener("error", () => this.poll());
  }

  poll() {
    if (!this.polling) this.polling = setInterval(refreshSoon, POLL_S * 1000);
    if (this.source?.readyState !== EventSource.CLOSED) return;
    this.source = undefined;
    clearTimeout(this.again);
    this.again = setTimeout(() => this.open(), POLL_S * 1000);
  }

  stopPolling() {
    clearInterval(this.polling);
    this.polling = undefined;
  }

  close() {
    this.stopPolling();
    clearTimeout(this.again);
    this.source?.close();
    this.source = undefined;
  }
}

customElements.define("live-part", LivePart);
customElements.define("live-feed", LiveFeed);
